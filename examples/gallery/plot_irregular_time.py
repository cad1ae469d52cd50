"""
Irregular time
==============

Points need not come at even intervals. With ``time``, `OnlineHMM` is a chain in continuous
time: regimes last for seconds, not for points. What it knows of the regime fades while no point
comes.
"""

import pandas as pd
from matplotlib import pyplot as plt
from river.datasets import WaterFlow

from online_gmm import OnlineHMM

frame = pd.read_csv(WaterFlow().path)
frame["Time"] = pd.to_datetime(frame["Time"], utc=True)
frame.columns = ["time", "flow"]
gaps = frame["time"].diff().dt.total_seconds() / 3600
print(f"steps of {gaps.min():.0f} to {gaps.max():.0f} hours")

model = OnlineHMM(2, warm_up=168, order_by="flow", time="time", seed=1)
model.learn_many(frame)
for label, seconds in zip(model.labels, model.dwell, strict=True):
    print(
        f"regime {label} around {model.centers[label]['flow']:.0f} l/s lasts {seconds / 3600:.0f} h"
    )

# %%
# The probability of each regime at a time at which nothing was measured. Just after the last
# point the model is sure. Later it returns to the long-run share of each regime.

last = frame["time"].iloc[-1]
hours = [0.1, 1, 3, 10, 30, 100, 300, 1000]
later = [
    model.predict_proba_one({"flow": None, "time": last + pd.Timedelta(hours=h)}) for h in hours
]
figure, axes = plt.subplots(figsize=(6.0, 3.0), layout="constrained")
for label in model.labels:
    axes.plot(hours, [known[label] for known in later], "o-", label=f"regime {label}")
axes.set_xscale("log")
axes.set_xlabel("hours after the last point")
axes.set_ylabel("probability")
axes.legend()
