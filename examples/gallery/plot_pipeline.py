"""
In a river pipeline
===================

`OnlineGMM` is a clusterer of river: it can be the last step of a pipeline, and river's metrics
take its labels. The data are river's Bananas, two bent clouds that no single Gaussian
describes. Several components together do.
"""

import numpy as np
from matplotlib import pyplot as plt
from river import metrics, preprocessing
from river.datasets import Bananas

from online_gmm import OnlineGMM

model = preprocessing.StandardScaler() | OnlineGMM(8, warm_up=400, seed=1)
agreement = metrics.AdjustedMutualInfo()
for x, is_second in Bananas().take(2000):
    label = model.predict_one(x)
    if label >= 0:
        agreement.update(is_second, label)
    model.learn_one(x)
print(f"predicted, then learnt: {agreement}")

# %%
# The estimated density. It learnt nothing of the classes: it follows where points are.

side = np.linspace(-3.2, 3.2, 80)
density = [[model.score_one({"1": a, "2": b}) for a in side] for b in side]
points = np.array([[x["1"], x["2"]] for x, _ in Bananas().take(2000)])
figure, axes = plt.subplots(figsize=(5.0, 4.4), layout="constrained")
strangeness = axes.contourf(side, side, density, levels=[0, 0.5, 1, 2, 3, 4, 6], cmap="Blues_r")
axes.scatter(*points.T, s=2, color="0.2", alpha=0.4)
figure.colorbar(strangeness, label="strangeness, -log10 of the tail probability")
