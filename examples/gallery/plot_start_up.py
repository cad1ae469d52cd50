"""
The start: labels of -1, and how to avoid them
==============================================

`OnlineGMM` and `OnlineHMM` keep the first ``warm_up`` points and fit them together. Until then
they answer -1. With points of the past, `fit_start` starts a model at once.
"""

import pandas as pd
from matplotlib import pyplot as plt
from river.datasets import WaterFlow

from online_gmm import OnlineHMM

flow = pd.read_csv(WaterFlow().path)[["Water flow [l/s]"]]
flow.columns = ["flow"]

cold = OnlineHMM(2, warm_up=168, seed=1)
cold_labels = cold.label_then_learn_many(flow).labels

# %%
# Here the past is the first week, in which the pipe was shut once.

past, stream = flow[:168], flow[168:]
warm = OnlineHMM(2, seed=1).fit_start(past)
warm_labels = warm.label_then_learn_many(stream).labels
print(
    f"without a past: {(cold_labels == -1).sum()} rows of -1, with it {(warm_labels == -1).sum()}"
)

# %%
# After the start both models are the same, and so are their labels.

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(9.0, 3.6), layout="constrained")
above.plot(flow.index, flow["flow"], color="0.2", linewidth=0.8)
above.set_ylabel("flow [l/s]")
below.plot(flow.index, cold_labels, label="warm_up=168")
below.plot(stream.index, warm_labels, linestyle="--", label="fit_start(past)")
below.set_yticks([-1, 0, 1])
below.set_ylabel("label")
below.set_xlabel("row")
below.legend()
