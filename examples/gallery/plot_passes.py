"""
More than one pass
==================

If all rows are at hand, more passes reach the optimum. Incremental EM visits one row at a time
and needs about half the passes of batch EM. Both climb to the same place.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from online_gmm import MixtureParameters
from online_gmm.em import batch, incremental
from online_gmm.em.prior import Prior

X = pd.read_csv("../old_faithful.csv").to_numpy(float)

# %%
# A poor start, so that there is something to climb:

start = MixtureParameters([0.5, 0.5], [[3.0, 65.0], [4.0, 75.0]], [np.diag([2.0, 200.0])] * 2)
prior = Prior.of(X, 2, strength=1e-3)
stepwise = incremental.fit(X, start, prior, n_passes=60)
print("waits of", stepwise.mixture.means[:, 1].round(2), "minutes")

gaps = {}
best = max(stepwise.free_energy)
gaps["incremental EM"] = [best - value for value in stepwise.free_energy]
whole = batch.fit(X, start, prior)
gaps["batch EM"] = [best - value for value in whole.penalised]
for name, gap in gaps.items():
    passes = next(i for i, value in enumerate(gap, 1) if value < 1e-6)
    print(f"{name}: within 1e-6 nats of the optimum after {passes} passes")

# %%

figure, axes = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
for name, gap in gaps.items():
    axes.plot(range(1, len(gap) + 1), np.maximum(gap, 1e-14), ".-", label=name)
axes.set_yscale("log")
axes.set_xlabel("pass")
axes.set_ylabel("nats below the optimum, per row")
axes.legend()
