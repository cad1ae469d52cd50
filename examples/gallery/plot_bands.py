"""
Which regime, since when, and why
=================================

`Segmenter()` reads a stream point by point and finds the regimes by itself. The series is
river's WaterFlow: two months of hourly readings of a pipe that was shut a few times.
"""

import pandas as pd
from river.datasets import WaterFlow

from online_gmm import RegimeChange, Segmenter, plot

points = [{**x, "flow": flow} for x, flow in WaterFlow()]

# %%
# There is nothing to set. ``time`` says which of the values is the time.

segmenter = Segmenter(time="Time")
events = list(segmenter.stream(points))

# %%
# ``events`` has each segment, and each change with its reasons. A change is reported some
# points after it began: ``delay`` says how many.

for event in events:
    if isinstance(event, RegimeChange):
        print(f"{event}, known {event.delay} points later")

# %%
# `online_gmm.plot.series` draws the series with its segments as bands. A regime that returns
# keeps its number and its colour.

plot.series(pd.DataFrame(points), events, time="Time")
