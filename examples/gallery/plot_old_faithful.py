"""
A mixture learnt in one pass
============================

Old Faithful is a geyser. An eruption is short or long, and the wait for the next one follows
from that. `OnlineGMM` learns the two kinds from a stream of eruptions, each looked at once. We
compare it with scikit-learn's batch EM, which goes through all of them many times.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse
from sklearn.mixture import GaussianMixture

from online_gmm import OnlineGMM

eruptions = pd.read_csv("../old_faithful.csv")

model = OnlineGMM(2, warm_up=100, seed=1)
for eruption in eruptions.to_dict("records"):
    model.learn_one(eruption)
model

# %%
# Batch EM on the same rows:

batch = GaussianMixture(2, random_state=1).fit(eruptions)
order = np.argsort(batch.means_[:, 0])
print("online\n", model.mixture.means.round(2))
print("batch\n", batch.means_[order].round(2))
gap = batch.score(eruptions) - model.mixture.score_samples(eruptions).mean()
print(f"log-likelihood per row: online is lower by {gap:.4f} nats")

# %%
# Ellipses at two standard deviations:


def ellipse(mean, covariance, **style):
    values, vectors = np.linalg.eigh(covariance)
    width, height = 4.0 * np.sqrt(values)
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return Ellipse(mean, width, height, angle=angle, fill=False, **style)


labels = model.predict_many(eruptions)
figure, axes = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
axes.scatter(eruptions["eruptions"], eruptions["waiting"], c=labels, s=9, cmap="coolwarm")
for mean, covariance in zip(model.mixture.means, model.mixture.covariances, strict=True):
    axes.add_patch(ellipse(mean, covariance, color="black", label="online"))
for mean, covariance in zip(batch.means_, batch.covariances_, strict=True):
    axes.add_patch(ellipse(mean, covariance, color="tab:green", linestyle="--", label="batch"))
axes.set_xlabel("length of the eruption [min]")
axes.set_ylabel("wait for the next one [min]")
axes.legend(handles=[axes.patches[0], axes.patches[-1]])
