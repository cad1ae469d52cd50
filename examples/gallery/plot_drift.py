"""
A stream that drifts
====================

By default every point counts alike. That is right for a stream that does not change. For one
that does, `HalfLife` lets old points fade. The series is the monthly number of airline
passengers, which grows for twelve years.
"""

import numpy as np
from matplotlib import pyplot as plt
from river.datasets import AirlinePassengers

from online_gmm import HalfLife, OnlineGMM

months, passengers = zip(*((x["month"], y) for x, y in AirlinePassengers()), strict=True)

# %%
# With one component the model is a running mean and variance.

learners = {
    "every point alike": OnlineGMM(1, warm_up=12),
    "half-life of 12 points": OnlineGMM(1, warm_up=12, step_size=HalfLife(points=12)),
    "half-life of 36 points": OnlineGMM(1, warm_up=12, step_size=HalfLife(points=36)),
}
means = {name: [] for name in learners}
for value in passengers:
    for name, learner in learners.items():
        known = learner.centers
        means[name].append(known[0]["passengers"] if known else np.nan)
        learner.learn_one({"passengers": value})

for name, mean in means.items():
    lag = np.nanmean(np.abs(np.array(passengers) - mean))
    print(f"{name}: {lag:.0f} thousand passengers from the next month, on average")

# %%
# A shorter half-life follows faster, and also follows the seasons.

figure, axes = plt.subplots(figsize=(9.0, 3.2), layout="constrained")
axes.plot(months, passengers, color="0.6", linewidth=0.8, label="passengers")
for name, mean in means.items():
    axes.plot(months, mean, label=name)
axes.set_ylabel("thousands a month")
axes.legend()
