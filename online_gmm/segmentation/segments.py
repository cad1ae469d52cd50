"""What a segmenter reports: segments, and changes from one regime to the next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import html
from online_gmm.data.counted import counted
from online_gmm.data.state import instance, plain
from online_gmm.segmentation.explanation import Kind, Reason


@dataclass(frozen=True)
class Segment:
    """A stretch of the stream in one regime.

    Parameters
    ----------
    start, end
        The times of its first and last point as they were given, or their numbers in the stream
        from 0 if points have no time.
    label
        The number of the regime.
    n
        The number of its points. Points that bear another label but were too few to be a segment
        are counted too.
    probability
        The mean probability of the label over the points that bear it; NaN if the model has none.
    mean, sd
        The mean and standard deviation (over n, not n - 1) of each feature, in its units, over the
        points where it has a value; NaN where there is none.
    """

    start: Any
    end: Any
    label: int
    n: int
    probability: float
    mean: dict[Hashable, float]
    sd: dict[Hashable, float]

    @property
    def since(self) -> Any:
        """Since when it lasts: its ``start``, as one asks of the segment that is going on."""
        return self.start

    def __str__(self) -> str:
        return f"regime {self.label}, {self.start} to {self.end}, {counted(self.n, 'points')}"

    def _repr_html_(self) -> str:
        channels = list(self.mean)
        cells = html.channel_cells(channels, self.mean, self.sd)
        probability = html.Share(self.probability, html.colour_of(self.label))
        whole = html.table(["probability", *html.channel_heads(channels)], [[probability, *cells]])
        return html.page(f"Segment: {self}", (), whole)


@dataclass(frozen=True)
class RegimeChange:
    """The stream has gone from one regime to another. Told once, and never revised.

    Parameters
    ----------
    at
        Since when: the time of the first point of the new regime, or its number in the stream from
        0 if points have no time.
    known_at
        The time, or the number, of the point at which the change was reported.
    before, after
        The numbers of the two regimes. ``before`` is -1 after an interruption.
    probability
        The probability of the new regime, from 0 to 1; NaN if the model has none. For the labels of
        a learner it is the mean over the points that bear the new label, from ``at`` to
        ``known_at``.
    delay
        Points from ``at`` to ``known_at``.
    log_ratio
        How far the two segments differ, in nats per row; see `Explanation`. NaN if not compared.
    why
        The channels by which they differ, the largest share first. Shares sum to 1.
    """

    at: Any
    known_at: Any
    before: int
    after: int
    probability: float
    delay: int
    log_ratio: float = math.nan
    why: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        named = [reason for reason in self.why if reason.kind != "other" or reason.share >= 0.01]
        why = "; ".join(f"{reason} ({reason.share:.0%})" for reason in named)
        return f"{self.before} -> {self.after} at {self.at}" + (f": {why}" if why else "")

    def _repr_html_(self) -> str:
        rows = [[str(reason), reason.kind, html.Share(reason.share)] for reason in self.why]
        title = f"Change of regime: {self.before} -> {self.after} at {self.at}"
        known = f"known at {self.known_at}, {counted(self.delay, 'points')} later"
        return html.page(title, [known], html.table(["why", "kind", "share"], rows))


@dataclass(frozen=True)
class RegimeEvent:
    """A regime was found for the first time, or turned out to be one that was known.

    Parameters
    ----------
    kind
        ``born``, or ``merged``.
    label
        The number that is new, or that is not used again.
    at
        The time, or the number, of the point at which this was known.
    into
        The number that goes on, if regimes were merged.
    """

    kind: Literal["born", "merged"]
    label: int
    at: Any
    into: int | None = None

    def __str__(self) -> str:
        into = "" if self.into is None else f" into {self.into}"
        return f"regime {self.label} {self.kind}{into} at {self.at}"


@dataclass(frozen=True)
class Segmentation:
    """The changes and segments of many labelled points.

    Parameters
    ----------
    changes
        At which of them a change of regime was reported, shape (n,).
    closed
        Returns the segments that these changes completed, in order, as long as the times are there.
    """

    changes: NDArray[np.bool_]
    closed: Callable[[], list[Segment]]


# -- as bytes -----------------------------------------------------------------------------------


def named_numbers(pairs: Any) -> dict[Hashable, float]:
    """Names and numbers, as they were written."""
    return {name: instance(value, float, "a value") for name, value in pairs}


def segment_state(segment: Segment) -> list[Any]:
    """Return a segment as plain values."""
    *values, mean, sd = (getattr(segment, field.name) for field in dataclasses.fields(segment))
    return [
        *(plain(value, "a segment") for value in values),
        *(
            [[plain(name, "the name of a feature"), value] for name, value in by_name.items()]
            for by_name in (mean, sd)
        ),
    ]


def segment_from_state(state: Any) -> Segment:
    """Return what `segment_state` was made of."""
    start, end, label, n, probability, mean, sd = state
    return Segment(
        start,
        end,
        instance(label, int, "label"),
        _kernel.whole(n, "n"),
        instance(probability, float, "probability"),
        named_numbers(mean),
        named_numbers(sd),
    )


def change_state(change: RegimeChange) -> list[Any]:
    """Return a change as plain values."""
    *values, why = (getattr(change, field.name) for field in dataclasses.fields(change))
    reasons = [
        [plain(value, "a reason") for value in (r.channel, r.kind, r.before, r.after, r.share)]
        for r in why
    ]
    return [*(plain(value, "a change") for value in values), reasons]


def change_from_state(state: Any, last: Any) -> RegimeChange:
    """Return what `change_state` was made of.

    Versions 1 and 2 of the format have no reasons, and no ``known_at``: that is the last point.
    """
    if len(state) == 5:
        at, before, after, probability, delay = state
        known_at, log_ratio, why = last, math.nan, []
    else:
        at, known_at, before, after, probability, delay, log_ratio, why = state
    return RegimeChange(
        at,
        known_at,
        instance(before, int, "before"),
        instance(after, int, "after"),
        instance(probability, float, "probability"),
        _kernel.whole(delay, "delay"),
        instance(log_ratio, float, "log_ratio"),
        tuple(_reason_from_state(its) for its in why),
    )


def _reason_from_state(state: Any) -> Reason:
    channel, kind, *values = state
    if kind not in get_args(Kind):
        raise ValueError(f"a reason is of kind {kind!r}")
    return Reason(channel, kind, *(instance(value, float, "a reason") for value in values))


def event_state(event: RegimeChange | RegimeEvent) -> list[Any]:
    """Return an event as plain values."""
    if isinstance(event, RegimeChange):
        return ["change", change_state(event)]
    return [event.kind, event.label, plain(event.at, "a time"), event.into]


def event_from_state(state: Any) -> RegimeChange | RegimeEvent:
    """Return what `event_state` was made of."""
    kind, *values = state
    if kind == "change":
        return change_from_state(values[0], None)
    if kind not in ("born", "merged"):
        raise ValueError(f"an event is of kind {kind!r}")
    label, at, into = values
    if into is not None:
        instance(into, int, "into")
    return RegimeEvent(kind, instance(label, int, "label"), at, into)
