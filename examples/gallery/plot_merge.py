"""
Shards: two models become one
=============================

Two models that have learnt different points can be merged. Nothing but the models is sent:
`to_bytes` writes all that a model knows, and `from_bytes` reads it, whatever wrote it.
"""

import pandas as pd
from matplotlib import pyplot as plt

from online_gmm import OnlineGMM, plot

eruptions = pd.read_csv("../old_faithful.csv")
shards = {"first half": eruptions[:136], "second half": eruptions[136:]}

written = []
for rows in shards.values():
    model = OnlineGMM(2, warm_up=100, seed=1)
    model.learn_many(rows)
    written.append(model.to_bytes())
print("bytes:", [len(state) for state in written])

first, second = map(OnlineGMM.from_bytes, written)
both = OnlineGMM.from_bytes(written[0]).merge(second)
whole = OnlineGMM(2, warm_up=100, seed=1)
whole.learn_many(eruptions)

# %%
# The merged model is as likely as one that has learnt all rows.

for name, its in {"first half": first, "both": both, "all rows": whole}.items():
    likelihood = its.mixture.score_samples(eruptions).mean()
    print(f"{name}: {its.n_points} points, {likelihood:.4f} nats a row")

# %%

figure, axes = plt.subplots(1, 3, sharey=True, figsize=(9.0, 3.0), layout="constrained")
shown = {"first half": first, "second half": second, "both": both}
for panel, (name, its) in zip(axes, shown.items(), strict=True):
    plot.densities(its, shards.get(name, eruptions), channel="waiting", ax=panel).set_title(name)
