"""Two months of water flow, hour by hour: what state is the pipe in, and since when?

python examples/water_flow.py [--plot OUT.png]

river's WaterFlow: 1,268 readings from a pipe, an hour apart but for a dozen gaps of up to 32 hours.
A hidden Markov model in continuous time learns three regimes from the stream. At about 102 l/s the
flow is as usual, with a daily rhythm of 1 l/s that is no change of regime; at 24.3 l/s it is shut;
in between it goes down or comes back, and single readings out of the ordinary count as that too.
Changes are printed as they come. The first 168 readings are the warm-up and have no label yet; the
first of the three times that the flow was shut is among them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from river import compose, datasets

from online_gmm import OnlineHMM, RegimeChange, Segment, Segmenter
from replay.views.plot import CHANGE, COLOURS, STYLE
from replay.views.tables import duration

FLOW = "flow [l/s]"


class Replayed(NamedTuple):
    """The model at the end of the stream, the readings, and what was found on the way."""

    model: OnlineHMM
    times: list[Any]
    flow: list[float]
    segments: list[Segment]
    changes: list[RegimeChange]


def readings() -> Iterator[dict[str, Any]]:
    for x, y in datasets.WaterFlow():
        yield {"time": x["Time"], FLOW: y}


def replayed() -> Replayed:
    """Send the readings through the model, and print each change of regime as it is reported."""
    model = OnlineHMM(3, time="time", order_by=FLOW, warm_up=7 * 24, seed=1)
    pipeline = compose.Select("time", FLOW) | model
    segmenter = Segmenter(pipeline, confirm=2, time="time")
    result = Replayed(model, [], [], [], [])

    def watched() -> Iterator[dict[str, Any]]:
        for x in readings():
            result.times.append(x["time"])
            result.flow.append(x[FLOW])
            yield x

    for found in segmenter.stream(watched()):
        if isinstance(found, Segment):
            result.segments.append(found)
        else:
            result.changes.append(found)
            print(
                f"{result.times[-1]:%d %b %H:%M}: in regime {found.after} since "
                f"{found.at:%d %b %H:%M}, before in {found.before} "
                f"(probability {found.probability:.2f})"
            )
    return result


def show(replayed: Replayed) -> None:
    mixture = replayed.model.mixture
    print(f"\n{'regime':8}{FLOW:>20}{'share':>9}{'mean stay':>12}{'segments':>10}")
    for k, stay in enumerate(replayed.model.dwell):
        level = f"{mixture.means[k, 0]:.1f} ± {mixture.covariances[k, 0, 0] ** 0.5:.1f}"
        times = sum(segment.label == k for segment in replayed.segments)
        print(f"{k:<8}{level:>20}{mixture.weights[k]:>9.1%}{duration(stay):>12}{times:>10}")
    last = replayed.segments[-1]
    print(f"\nNow in regime {last.label}, since {last.start:%d %b %H:%M}.")


def save_plot(replayed: Replayed, path: Path) -> None:
    """All readings, and a closer look at a time when the flow was shut."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import dates
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    # drawn by the clock of the pipe
    times = np.array([time.replace(tzinfo=None) for time in replayed.times])
    flow = np.array(replayed.flow)
    labels = np.full(len(times), -1)
    for segment in replayed.segments:
        first = replayed.times.index(segment.start)
        labels[first : first + segment.n] = segment.label
    shut = next(change for change in replayed.changes if change.after == 0)
    near = replayed.times.index(shut.at)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
        for axes, chosen in zip(panels, (slice(None), slice(near - 24, near + 36)), strict=True):
            axes.plot(times[chosen], flow[chosen], color="0.8", zorder=1)
            for k in range(-1, replayed.model.mixture.n_components):
                its = np.flatnonzero(labels[chosen] == k)
                colour = COLOURS[k] if k >= 0 else "0.6"
                name = f"regime {k}" if k >= 0 else "warm-up"
                axes.scatter(times[chosen][its], flow[chosen][its], s=8, color=colour, label=name)
            low, high = times[chosen][0], times[chosen][-1]
            for change in replayed.changes:
                if low <= change.at.replace(tzinfo=None) <= high:
                    axes.axvline(change.at.replace(tzinfo=None), zorder=0.5, **CHANGE)
            locator = dates.AutoDateLocator(maxticks=7)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        panels[0].set_ylabel(FLOW)
        handles, names = panels[0].get_legend_handles_labels()
        handles.append(Line2D([], [], **CHANGE))
        figure.legend(
            handles, [*names, "change of regime"], loc="outside lower center", ncols=5,
            frameon=False,
        )  # fmt: skip
        figure.savefig(path, dpi=130)
        plt.close(figure)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Regimes of river's WaterFlow.")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the regimes here")
    path = parser.parse_args().plot
    found = replayed()
    show(found)
    if path is not None:
        save_plot(found, path)


if __name__ == "__main__":
    main()
