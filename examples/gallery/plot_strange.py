"""
Strange points
==============

`score_one` says how strange a point is: -log10 of the probability of a point at least as far
from the nearest component. A score of 3 is one in a thousand. The series is five years of daily
returns of ten shares.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from river.datasets import SP500Stocks

from online_gmm import OnlineGMM

days = [x for x, _ in SP500Stocks()]

# %%
# Each day is scored before it is learnt. Two components, because there are calm days and busy
# days.

model = OnlineGMM(2, warm_up=250, seed=1)
scores = []
for day in days:
    scores.append(model.score_one(day))
    model.learn_one(day)
scores = pd.Series(scores, name="score")
print(f"{(scores > 6).sum()} of {len(days)} days were rarer than one in a million")
model

# %%
# The strangest days, and the share that moved most:

strangest = scores.nlargest(5)
returns = pd.DataFrame(days).loc[strangest.index]
pd.DataFrame({"score": strangest, "share": returns.abs().idxmax(axis=1)})

# %%

mean = [np.mean(list(day.values())) for day in days]
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(9.0, 4.0), layout="constrained")
above.plot(mean, color="0.2", linewidth=0.6)
above.plot(scores.index[scores > 6], np.array(mean)[scores > 6], "o", color="tab:red", markersize=4)
above.set_ylabel("mean return [%]")
below.plot(scores, linewidth=0.6)
below.axhline(6, color="tab:red", linestyle="--", linewidth=0.8)
below.set_ylabel("score")
below.set_xlabel("day")
