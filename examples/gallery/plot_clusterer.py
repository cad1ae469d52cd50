"""
Segments from a clusterer of your own
=====================================

`Segmenter(model)` turns the labels of any river clusterer into segments and changes.
``confirm`` and ``min_dwell`` say how long a label has to last. The series is from river's
TrumpApproval: the approval rate that one pollster finds, day by day.
"""

from itertools import pairwise

import pandas as pd
from river.cluster import KMeans
from river.datasets import TrumpApproval

from online_gmm import RegimeChange, Segmenter, plot

polls = pd.DataFrame([x for x, _ in TrumpApproval()])[["rasmussen"]]
points = polls.to_dict("records")

# %%
# River's KMeans labels each day by itself, so its labels flicker where clusters meet.


def clusterer():
    return KMeans(n_clusters=2, halflife=0.1, mu=42.0, sigma=3.0, seed=1)


k_means, labels = clusterer(), []
for point in points:
    k_means.learn_one(point)
    labels.append(k_means.predict_one(point))
flickers = sum(a != b for a, b in pairwise(labels))

# %%
# We ask for three days in a row that confirm a change, and for stays of at least ten.

segmenter = Segmenter(clusterer(), confirm=3, min_dwell=10)
events = list(segmenter.stream(points))
changes = [event for event in events if isinstance(event, RegimeChange)]
print(f"{flickers} changes of label, {len(changes)} changes of regime")

# %%

plot.series(polls, events)
