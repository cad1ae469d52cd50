"""Components that are retired, merged and born as a stream changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.data.state import instance
from online_gmm.em.mixture import from_kernel

TWINS = 0.05
"""Bhattacharyya distance below which two components are one."""
UNEXPLAINED = 1e-4
"""Tail probability beyond which a point is unexplained."""
RECENT = 512
"""The last points, among which unexplained ones must be numerous for a birth."""
CROWD = 12
"""The smallest number of unexplained points for a birth, or 3 (D + 1) if that is more."""


Happening = Literal["born", "retired", "merged"]


@dataclass(frozen=True)
class ComponentEvent:
    """A component was born, retired or merged.

    Parameters
    ----------
    kind
        What happened.
    number
        Of the component. Numbers are never used again.
    n_points
        Points learnt when it happened.
    time
        Of the last of them, in seconds; None if points have no time.
    cause
        Why, in words.
    name
        The name of the component, if it has been given one.
    """

    kind: Happening
    number: int
    n_points: int
    time: float | None
    cause: str
    name: str | None = None


class Roster:
    """The number of each of the K places of a mixture; None for a place that is free.

    Parameters
    ----------
    n_components : int
        K. At first the places have the numbers 0 .. K-1.
    """

    __slots__ = ("events", "next", "numbers")

    def __init__(self, n_components: int) -> None:
        self.numbers: list[int | None] = list(range(n_components))
        self.next = n_components
        self.events: list[ComponentEvent] = []

    def state(self) -> dict[str, Any]:
        return {
            "numbers": self.numbers,
            "next": self.next,
            "events": [[e.kind, e.number, e.n_points, e.time, e.cause] for e in self.events],
        }

    def review(self, stream: _kernel.MixtureStream) -> None:
        """Retire, merge and start components of a stream where it is due. O(K^2 D^3)."""
        n, last = stream.n_points, stream.last_time
        time = last if np.isfinite(last) else None
        parts = stream.parts

        def note(kind: Happening, number: int, cause: str) -> None:
            self.events.append(ComponentEvent(kind, number, n, time, cause))

        state = stream.iterate_components.state()
        d = state["shape"][1]
        support = np.frombuffer(state["weight"]) * state["points"]
        for place, number in enumerate(self.numbers):
            if number is not None and support[place] < d + 1 and self._alive() > 1:
                note("retired", number, f"no support: {support[place]:.2g} points' worth is left")
                self._free(parts, place)

        twins = self._twins(stream.iterate_components)
        if twins is not None:
            kept, gone = twins
            note("merged", self._number(gone), f"became one with component {self._number(kept)}")
            for part in parts:
                _merge(part, kept, gone)
            self.numbers[gone] = None

        unexplained = np.frombuffer(stream.last_strays(n - RECENT)).reshape(-1, d)
        unexplained = unexplained[~np.isnan(unexplained).any(axis=1)]
        if None in self.numbers and len(unexplained) >= max(CROWD, 3 * (d + 1)):
            place = self.numbers.index(None)
            note(
                "born",
                self.next,
                f"{len(unexplained)} of the last {RECENT} points were unexplained",
            )
            for part in parts:
                _start_component(part, place, unexplained, len(unexplained) / RECENT)
            self.numbers[place] = self.next
            self.next += 1
            stream.forget_strays()

    def _alive(self) -> int:
        return sum(number is not None for number in self.numbers)

    def _number(self, place: int) -> int:
        number = self.numbers[place]
        assert number is not None
        return number

    def _free(self, parts: list[_kernel.Statistics], place: int) -> None:
        self.numbers[place] = None
        for part in parts:
            weight, center, scatter = _statistics(part)
            weight[place] = 0.0
            _load(part, weight, center, scatter)

    def _twins(self, components: _kernel.Components) -> tuple[int, int] | None:
        """Return the two nearest components, if they are so close that they are one."""
        places = [place for place, number in enumerate(self.numbers) if number is not None]
        alive = from_kernel(components).reordered(places)
        distance = alive.bhattacharyya(alive)
        distance[np.tril_indices(len(places))] = np.inf
        first, second = np.unravel_index(int(distance.argmin()), distance.shape)
        if distance[first, second] >= TWINS:
            return None
        pair = sorted((places[first], places[second]), key=self._number)
        return pair[0], pair[1]


@cache
def fixed_roster(n_components: int) -> Roster:
    """Return a roster that never changes, for models whose components are not recycled."""
    return Roster(n_components)


def roster_from_state(state: dict[str, Any], n_components: int) -> Roster:
    """Read the roster of so many places."""
    whole = _kernel.whole
    result = Roster(n_components)
    result.next = whole(state["next"], "next")
    result.numbers = [
        None if number is None else whole(number, "number", 0, result.next - 1)
        for number in state["numbers"]
    ]
    alive = [number for number in result.numbers if number is not None]
    if len(result.numbers) != n_components or not alive or len(set(alive)) != len(alive):
        raise ValueError(f"numbers are not those of {n_components} components")
    for kind, number, n_points, time, cause in state["events"]:
        if kind not in get_args(Happening):
            raise ValueError(f"an event is of the kind {kind!r}")
        result.events.append(
            ComponentEvent(
                kind,
                whole(number, "number"),
                whole(n_points, "n_points"),
                None if time is None else instance(time, float, "time"),
                instance(cause, str, "cause"),
            )
        )
    return result


Statistics = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _statistics(components: _kernel.Statistics) -> Statistics:
    state = components.state()
    k, d, _ = state["shape"]
    return (
        np.frombuffer(state["weight"]).copy(),
        np.frombuffer(state["center"]).reshape(k, d).copy(),
        np.frombuffer(state["scatter"]).reshape(k, -1).copy(),
    )


def _load(
    components: _kernel.Statistics,
    weight: NDArray[np.float64],
    center: NDArray[np.float64],
    scatter: NDArray[np.float64],
) -> None:
    points = components.state()["points"]
    components.load(flat(weight / weight.sum()), flat(center), flat(scatter), points)


def _merge(components: _kernel.Statistics, kept: int, gone: int) -> None:
    weight, center, scatter = _statistics(components)
    total = weight[kept] + weight[gone]
    fraction = weight[gone] / total if total > 0.0 else 0.0
    gap = center[gone] - center[kept]
    dense = scatter.shape[1] > len(gap)
    between = np.outer(gap, gap).ravel() if dense else gap**2
    scatter[kept] += (
        fraction * (scatter[gone] - scatter[kept]) + fraction * (1.0 - fraction) * between
    )
    center[kept] += fraction * gap
    weight[kept], weight[gone] = total, 0.0
    _load(components, weight, center, scatter)


def _start_component(
    components: _kernel.Statistics, place: int, points: NDArray[np.float64], fraction: float
) -> None:
    weight, center, scatter = _statistics(components)
    weight *= 1.0 - fraction
    weight[place] = fraction
    center[place] = points.mean(axis=0)
    away = points - center[place]
    dense = scatter.shape[1] > points.shape[1]
    scatter[place] = (away.T @ away / len(points)).ravel() if dense else (away**2).mean(axis=0)
    _load(components, weight, center, scatter)
