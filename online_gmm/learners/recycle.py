"""Components that come and go, and the numbers by which they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.state import instance
from online_gmm.em.mixture import MixtureParameters

TWINS = 0.05
"""Bhattacharyya distance below which two components are one."""
OUTLYING = 1e-5
"""Tail probability beyond which a point is badly explained by a component."""
RECENT = 512
"""The last points, among which unexplained ones must be numerous for a birth."""
CROWD = 12
"""The least number of them, or 3 (D + 1) if that is more."""
WELL_KNOWN = 10
"""Points, times D + 1, that a component must have before points beyond it are taken for others'."""

SPREAD_KNOWN = 50
"""Points, times D + 1, from which on the spread of a component is known well enough that points
farther from it than usual are taken for others'."""

Happening = Literal["born", "retired", "merged", "moved"]
Center = tuple[float, ...]


@dataclass(frozen=True)
class ComponentEvent:
    """What happened to a component.

    Parameters
    ----------
    kind
        ``born``: a regime came that no component explained. ``retired``: a component has lost its
        support, or was given up in a new fit. ``merged``: it became one with another. ``moved``: a
        new fit put its centre farther away than estimation error allows.
    number
        The label of the component. Labels are never used again.
    n_points
        Points learnt when it happened, so the row of a stream in which every row has a value.
    time
        The time of the last of them, in seconds; None if points have no time.
    cause
        Why, in words.
    before
        The centre until then, by feature in the order of the model's; None if it is ``born``.
    after
        The centre since then; None if it is ``retired``. If it is ``merged``, that of the component
        that it became one with.
    name
        The name of the component, if it has been given one.
    """

    kind: Happening
    number: int
    n_points: int
    time: float | None
    cause: str
    before: Center | None = None
    after: Center | None = None
    name: str | None = None


@lru_cache(64)
def first_numbers(n: int) -> tuple[int, ...]:
    """The numbers of so many components that were there at first; many models share them."""
    return tuple(range(n))


class Roster:
    """The number of each component in the kernel, and what has happened to components so far.

    Parameters
    ----------
    n_components
        How many components there are at first; they get the numbers from 0.
    """

    __slots__ = ("events", "next", "numbers")

    def __init__(self, n_components: int) -> None:
        self.numbers = first_numbers(n_components)
        self.next = n_components
        self.events: tuple[ComponentEvent, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the number of a component is its place in the kernel."""
        return self.numbers == first_numbers(len(self.numbers))

    def note(
        self,
        kind: Happening,
        number: int,
        stream: Any,
        cause: str,
        before: NDArray[np.float64] | None = None,
        after: NDArray[np.float64] | None = None,
    ) -> None:
        """Add an event that happens after the last point of a stream."""
        time = stream.last_time
        event = ComponentEvent(
            kind,
            number,
            stream.n_points,
            time if np.isfinite(time) else None,
            cause,
            None if before is None else tuple(before.tolist()),
            None if after is None else tuple(after.tolist()),
        )
        self.events = (*self.events, event)

    def add(self) -> int:
        """Give a number to a component that comes last in the kernel."""
        self.numbers = (*self.numbers, self.next)
        self.next += 1
        return self.numbers[-1]

    def drop(self, place: int) -> None:
        """Forget the number of a component that is gone from the kernel."""
        self.numbers = (*self.numbers[:place], *self.numbers[place + 1 :])

    def state(self) -> dict[str, Any]:
        return {
            "numbers": self.numbers,
            "next": self.next,
            "events": [
                [e.kind, e.number, e.n_points, e.time, e.cause, e.before, e.after]
                for e in self.events
            ],
        }


def twins(mixture: MixtureParameters, below: float = TWINS) -> tuple[int, int] | None:
    """The two components that are nearest to each other, if they are one.

    They are if their Bhattacharyya distance is less than ``below``.
    """
    if mixture.n_components < 2:
        return None
    distance = mixture.bhattacharyya(mixture)
    distance[np.tril_indices(mixture.n_components)] = np.inf
    first, second = np.unravel_index(int(distance.argmin()), distance.shape)
    return None if distance[first, second] >= below else (int(first), int(second))


def crowd(n_features: int) -> int:
    """OutlierBuffer among the last `RECENT` points that are more than chance."""
    return max(CROWD, 3 * (n_features + 1))


def roster_from_state(state: dict[str, Any], n_components: int) -> Roster:
    """A roster of so many components."""
    whole = _kernel.whole
    # up to version 2 of the format a place could be free
    numbers = [number for number in state["numbers"] if number is not None]
    if len(numbers) != n_components:
        raise ValueError(f"numbers are not those of {n_components} components")
    result = Roster(n_components)
    result.next = whole(state["next"], "next")
    known = tuple(whole(number, "number", 0, result.next - 1) for number in numbers)
    first = first_numbers(n_components)
    result.numbers = first if known == first else known
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"numbers are not those of {n_components} components")
    events: list[ComponentEvent] = []
    for kind, number, n_points, time, cause, *centers in state["events"]:
        before, after = map(_center, centers or (None, None))
        if kind not in get_args(Happening):
            raise ValueError(f"an event is of the kind {kind!r}")
        events.append(
            ComponentEvent(
                kind,
                whole(number, "number"),
                whole(n_points, "n_points"),
                None if time is None else instance(time, float, "time"),
                instance(cause, str, "cause"),
                before,
                after,
            )
        )
    result.events = tuple(events)
    return result


def _center(values: Sequence[Any] | None) -> Center | None:
    return None if values is None else tuple(instance(v, float, "a centre") for v in values)
