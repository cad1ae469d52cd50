"""
A whole frame at once
=====================

If the series is complete, `label_many` learns all rows and returns the regime of each row in
hindsight: rows that came before a change was known bear the new number too.
"""

import pandas as pd
from river.datasets import WaterFlow

from online_gmm import Segmenter, plot

frame = pd.read_csv(WaterFlow().path)
frame.columns = ["time", "flow"]
frame["time"] = pd.to_datetime(frame["time"], utc=True)

segmenter = Segmenter(time="time")
frame["regime"] = segmenter.label_many(frame[["time", "flow"]])
frame["regime"].value_counts()

# %%
# The segments are a frame: when each began and ended, its regime, its length and statistics, and
# why it is another regime than the one before.

segmenter.segments_[["start", "end", "label", "n", "why"]]

# %%
# A notebook shows a segmenter as a table of its regimes and its last changes.

segmenter

# %%
# The same as a picture: the share of each regime, and its mean and standard deviation in each
# channel.

plot.regimes(segmenter)
