"""
Missing values
==============

A value that is NaN, None or absent is left out of the densities, and the statistics get its
expected value given the others. So a model loses little when values are missing. We take away
every third value of Old Faithful at random.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from online_gmm import OnlineGMM, plot

eruptions = pd.read_csv("../old_faithful.csv").astype(float)
rng = np.random.default_rng(1)
holes = eruptions.mask(rng.random(eruptions.shape) < 1 / 3)
print(f"{holes.isna().to_numpy().mean():.0%} of the values are missing")

complete, with_holes = OnlineGMM(2, warm_up=100, seed=1), OnlineGMM(2, warm_up=100, seed=1)
complete.learn_many(eruptions)
with_holes.learn_many(holes)

same = (complete.predict_many(eruptions) == with_holes.predict_many(eruptions)).mean()
print(f"both models give the same label to {same:.1%} of the complete rows")

# %%
# Leaving out rows with a hole would lose more than half of them:

print(f"{len(holes.dropna())} of {len(holes)} rows are complete")

# %%
# The wait for the next eruption, as both models see it. The rug shows the values that each has
# seen.

figure, axes = plt.subplots(2, sharex=True, figsize=(6.0, 5.0), layout="constrained")
plot.densities(complete, eruptions, channel="waiting", ax=axes[0]).set_title("complete")
plot.densities(with_holes, holes, channel="waiting", ax=axes[1]).set_title("a third missing")
