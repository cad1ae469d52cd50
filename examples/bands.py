"""A series in bands: which regime, since when, and why it changed.

python examples/bands.py [--plot OUT.png]

river's WaterFlow goes through a `Segmenter` reading by reading. The picture shows the regimes that
it found, as bands, and what it said at the last two changes. This makes `docs/bands.png`.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from matplotlib import dates
from matplotlib import pyplot as plt
from river import datasets

from online_gmm import RegimeChange, Segment, Segmenter, plot

FLOW = "flow"


def found() -> tuple[list[datetime], list[float], list[Segment], list[RegimeChange]]:
    """Send the readings through a segmenter, and keep its events."""
    readings = [{"time": x["Time"], FLOW: y} for x, y in datasets.WaterFlow()]
    segmenter = Segmenter(time="time")
    events = list(segmenter.stream(readings))
    return (
        [x["time"] for x in readings],
        [x[FLOW] for x in readings],
        [event for event in events if isinstance(event, Segment)],
        [event for event in events if isinstance(event, RegimeChange)],
    )


def picture(path: Path) -> None:
    times, flow, segments, changes = found()
    with plt.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(9.0, 2.9), layout="constrained")
        plot.bands(axes, segments)
        axes.plot(times, flow, color="0.2", linewidth=0.8)
        axes.set_ylim(0.0, 135.0)
        axes.set_xlim(times[0], times[-1])
        for change, side in zip(changes[-2:], ("right", "left"), strict=True):
            axes.annotate(
                f"{change.at:%d %b %H:%M}: {change.before} → {change.after}\n{change.why[0]}",
                (change.at, 116.0),
                (-4 if side == "right" else 4, 0),
                textcoords="offset points",
                ha=side,
                fontsize=9,
            )
            axes.axvline(change.at, color="0.3", linestyle="--", linewidth=0.7)
        now = segments[-1]
        axes.set_title(
            f"now in regime {now.label}, since {now.since:%d %b %H:%M}", loc="left", fontsize=10
        )
        axes.set_ylabel("flow [l/s]")
        axes.xaxis.set_major_formatter(dates.DateFormatter("%d %b"))
        axes.legend(loc="lower center", ncols=4, frameon=False)
        figure.savefig(path, dpi=100)
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plot", default="bands.png", type=Path, metavar="OUT.png")
    path = parser.parse_args().plot
    picture(path)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
