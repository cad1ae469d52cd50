"""
Labels at once, and labels in hindsight
=======================================

The label of `label_then_learn_many` knows nothing of later points. A hidden Markov model can
also say what it thinks some points later (``lag``), or after all of them (`smooth_many`,
`decode_many`). The series is simulated: two levels that overlap, so that a single point says
little.
"""

import numpy as np
from matplotlib import pyplot as plt

from online_gmm import OnlineHMM
from online_gmm.data.html import colour_of

rng = np.random.default_rng(2)
truth = np.repeat([0, 1, 0, 1, 0, 1], [140, 90, 60, 110, 40, 60])
values = rng.normal(1.8 * truth, 1.0)[:, None]

model = OnlineHMM(2, warm_up=200, seed=1)
at_once = model.label_then_learn_many(values).labels

# %%
# ``smooth_many`` gives the probabilities of each row given the whole series, and ``decode_many``
# the single most probable path. The first 200 rows are the warm-up: nothing is known at once.

smoothed = model.smooth_many(values).argmax(axis=1)
path = model.decode_many(values)

answers = {"at once": at_once, "smoothed": smoothed, "most probable path": path}
for name, labels in answers.items():
    right = (labels == truth)[200:].mean()
    changes = np.count_nonzero(np.diff(labels[200:]))
    print(f"{name}: {right:.1%} right, {changes} changes; there were 4")

# %%

figure, axes = plt.subplots(3, sharex=True, sharey=True, figsize=(8.0, 5.0), layout="constrained")
for panel, (name, labels) in zip(axes, answers.items(), strict=True):
    panel.scatter(range(len(values)), values, s=6, c=[colour_of(label) for label in labels])
    panel.step(range(len(values)), 1.8 * truth, color="0.2", linewidth=0.8, where="mid")
    panel.set_title(name, loc="left", fontsize="medium")
axes[-1].set_xlabel("row")
