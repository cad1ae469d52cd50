"""The segmenter's core: several window lengths at once, and one answer.

Every row is cleaned and brought to the usual units of its channels (see `channels`) and given to
scales of different window lengths. Each of them finds its own change points and states (see
`scale`). The scale of 48 points, or of a whole number of periods if there is a period, answers
first; another one takes over when its regimes are clearer (see `choice`). Numbers that are reported
keep their meaning when another scale takes over: its states get the numbers that they overlap with,
and a change that it sees after the other one has told it is not told again.

The first regime is 0, whatever it is: it is known with the units of the channels, after 48 rows.

Between two snapshots of the choice no scale has to do with another one, so each may be given some
rows at once: what it needs then stays in the fastest memory. It comes to the same as row by row.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.channels import Channels
    from cython.cimports.online_gmm._kernel.choice import Choice
    from cython.cimports.online_gmm._kernel.memory import first
    from cython.cimports.online_gmm._kernel.points import read_point
    from cython.cimports.online_gmm._kernel.scale import Scale
else:
    from online_gmm._kernel.channels import Channels
    from online_gmm._kernel.choice import Choice
    from online_gmm._kernel.memory import first
    from online_gmm._kernel.points import read_point
    from online_gmm._kernel.scale import Scale
from array import array
from typing import Any

from online_gmm._kernel.blocks import RING, blocks_of
from online_gmm._kernel.channels import BUFFER, FIRST_ROWS, PERIOD_ROWS
from online_gmm._kernel.choice import IMMEDIATE, USUAL
from online_gmm._kernel.states import MOST_STATES
from online_gmm._kernel.values import flag, places, real, whole

WINDOWS = (4, 8, 16, 24, 48, 96, 192)
FEED = 4
AT_ONCE = 16
"""Rows that a scale is given at once, at most: the largest lag needs the other half of the ring."""
FAINT = 0.3
"""Below this autocorrelation there is no period."""
MOST_WINDOWS = 3.2
"""A window becomes whole periods if a period is no longer than so many windows."""
HISTORY = 16
SEEN = 4
"""Windows after which a scale has seen a change, if it sees it at all."""


@cython.final
@cython.cclass
class Partition:
    """Regimes of a stream of rows with ``n_channels`` numbers; NaN stands for a missing one.

    Parameters
    ----------
    n_channels
        Numbers in a row.
    window
        Points of a window; 0 lets the data choose.
    max_regimes
        Regimes there may be at once, at most 64.
    """

    n_channels: cython.Py_ssize_t
    fixed_window: cython.Py_ssize_t
    max_regimes: cython.Py_ssize_t
    channels: Channels
    scales: list[Scale]
    choice: Choice
    fed: cython.Py_ssize_t[::1]  # rows that each scale has been given
    n_scales: cython.Py_ssize_t
    number: cython.Py_ssize_t[::1]  # reported for a state of a scale, -1 none yet
    history: list[Any]  # last changes of each scale
    n_numbers: cython.Py_ssize_t
    label: cython.Py_ssize_t
    since: cython.Py_ssize_t
    now: cython.Py_ssize_t  # the row after which the scales are heard
    certainty: cython.double
    gap_row: cython.Py_ssize_t
    final: cython.Py_ssize_t  # what the segment was that is over, -1 if that is as reported
    events: list[Any]
    row: Any  # the numbers of a point
    point: cython.double[::1]  # the same

    def __init__(self, n_channels: int, window: int = 0, max_regimes: int = MOST_STATES) -> None:
        d = n_channels
        self.n_channels = d
        self.fixed_window = window
        self.max_regimes = max_regimes
        self.scales = []
        self.n_scales = 1 if window else len(WINDOWS)
        self.fed = array("q", bytes(8 * self.n_scales))
        self.channels = Channels(d)
        self.choice = Choice(self.channels, self.scales, self.n_scales)
        self.number = array("q", [-1] * (self.n_scales * MOST_STATES))
        self.history = []
        self.n_numbers = 0
        self.label = -1
        self.since = 0
        self.now = 0
        self.certainty = 1.0
        self.gap_row = 0
        self.final = -1
        self.events = []
        self.row = array("d", bytes(8 * d))
        self.point = self.row

    def learn_one(self, x: Any, names: tuple[Any, ...]) -> int:
        """Learn the values of these names, and keep them in ``row``.

        Returns how many others the mapping x has.
        """
        unknown: cython.Py_ssize_t = len(x) - read_point(x, names, first(self.point))
        self.take(first(self.point), 0, 1)
        return unknown

    def learn(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        labels: cython.Py_ssize_t[::1] | None = None,
    ) -> int:
        """Learn n rows; ``labels`` takes the label after each."""
        i: cython.Py_ssize_t = 0
        some: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        while i < n:
            some = self.n_at_once(n - i) if labels is None else 1
            self.take(rows, i * self.n_channels, some)
            if labels is not None:
                labels[i] = self.label
            i += some
        return n

    def gap(self) -> None:
        """Time has passed without rows: windows and differences begin anew at the next one."""
        self.gap_row = self.channels.n
        self.channels.gap()

    @property
    def answering_window(self) -> int:
        """Points of the windows of the scale that answers; 0 before there is one."""
        if not self.scales:
            return 0
        scale: Scale = cython.cast(Scale, self.scales[max(0, self.choice.chosen)])
        return scale.window

    @property
    def probability(self) -> float:
        """How certain the label is; NaN while there is none."""
        return self.certainty if self.label >= 0 else float("nan")

    @cython.cfunc
    @cython.exceptval(-2)
    def n_at_once(self, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """How many of the next n rows each scale may be given before the next scale has any."""
        k: cython.Py_ssize_t
        most: cython.Py_ssize_t = AT_ONCE
        taken: cython.Py_ssize_t = self.channels.n
        due: cython.Py_ssize_t = self.choice.every - taken % self.choice.every
        if self.choice.chosen < 0 or len(self.scales) < self.n_scales or taken < BUFFER:
            return 1
        for k in range(self.n_scales):
            if self.fed[k] < taken:
                return 1
        most = n if n < most else most
        return due if due < most else most

    @cython.cfunc
    @cython.exceptval(-2)
    def take(self, x: cython.p_double, at: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.int:
        """Learn the n rows that stand at a place."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        first: cython.Py_ssize_t = self.channels.n
        for i in range(n):
            self.channels.take(x, at + i * self.n_channels)
        self.now = self.channels.n - 1
        if len(self.scales) < self.n_scales:
            if self.channels.n == FIRST_ROWS:
                self.found(0)
                self.begin()
            if self.channels.n == PERIOD_ROWS:
                self.found(1)
            if len(self.scales) == 0:
                return 0
        for j in range(len(self.scales)):
            self.feed(j, first)
        self.now = self.channels.n - 1
        j = self.choice.take(self.label)
        if j >= 0 and j != self.choice.chosen:
            self.change_over(j)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def begin(self) -> cython.int:
        """The first regime is 0: the first state that the shortest windows will find."""
        self.label = self.new_number()
        self.number[0] = self.label
        if self.fixed_window:
            self.choice.chosen = 0
        return 0

    @cython.cfunc
    def found(self, later: cython.bint) -> Any:
        """Make the scales that can be made now."""
        if self.fixed_window:
            if not later:
                self.add_blocks(*blocks_of(self.fixed_window), False)
            return
        rhythm, period = self.channels.rhythm, self.channels.period
        for i, window in enumerate(WINDOWS):
            if (i >= IMMEDIATE) == later:
                periodic = later and rhythm > FAINT and period <= MOST_WINDOWS * window
                if periodic:
                    window = period * -(-window // period)
                self.add_blocks(*blocks_of(window), periodic)

    def add_blocks(self, stride: int, length: int, periodic: bool) -> None:
        scale = Scale(self.n_channels, stride, length, periodic)
        scale.states.room = self.max_regimes
        scale.blocks.presence.expect(self.channels.shares())
        self.scales.append(scale)
        self.history.append([])

    @cython.cfunc
    @cython.exceptval(-2)
    def feed(self, k: cython.Py_ssize_t, first: cython.Py_ssize_t) -> cython.int:
        """Give a scale the rows that it has not had, if only some of those before the first new."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        channels: Channels = self.channels
        n: cython.Py_ssize_t = channels.n
        row: cython.Py_ssize_t = self.fed[k]
        since: cython.Py_ssize_t
        ring: cython.Py_ssize_t = RING
        end: cython.Py_ssize_t = row + FEED if row < first else n
        if end > n:
            end = n
        while row < end:
            since = self.gap_row if row >= self.gap_row else 0
            if row == since:
                scale.blocks.clear()
            if row < channels.n_buffered:
                scale.learn(channels.early, row, row + 1 - since, row)
            else:
                scale.learn(channels.recent, row % ring, row + 1 - since, row)
            row += 1
            self.fed[k] = row
            if len(scale.events) > 0:
                self.now = row - 1 if row > first else first
                self.hear(k)
        if self.choice.chosen < 0 and k == USUAL and scale.fitted:
            self.change_over(k)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def hear(self, k: cython.Py_ssize_t) -> cython.int:
        """Take note of what a scale tells."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        for event in scale.events:
            if event[0] == "change":
                place, after = event[1], event[4]
                self.choice.state_from(k, place, after)
                self.history[k].append((place, after, event[5]))
                if len(self.history[k]) > HISTORY:
                    self.history[k].pop(0)
                if k == self.choice.chosen:
                    self.report(k, place, after, event[5])
            elif event[0] == "over":
                # what the segment that is over was, reported with the change that ended it
                place = 0
                if self.history[k]:
                    place, _, certainty = self.history[k].pop()
                    self.history[k].append((place, event[2], certainty))
                self.choice.state_from(k, place, event[2])
                if k == self.choice.chosen:
                    self.final = self.named(k, event[2])
            else:
                gone, kept = event[2], event[3]
                self.choice.merge_states(k, gone, kept)
                self.history[k] = [
                    (place, kept if state == gone else state, certainty)
                    for place, state, certainty in self.history[k]
                ]
                if k == self.choice.chosen:
                    self.merge(k, gone, kept)
                self.number[k * MOST_STATES + gone] = -1
        scale.events.clear()
        return 0

    @cython.cfunc
    def merge(self, k: cython.Py_ssize_t, gone: cython.Py_ssize_t, kept: cython.Py_ssize_t) -> Any:
        """Tell that two states are one."""
        old: cython.Py_ssize_t = self.number[k * MOST_STATES + gone]
        new: cython.Py_ssize_t = self.named(k, kept)
        if old < 0 or old == new:
            return
        self.events.append(("merged", self.now, old, new))
        if self.label == old:
            self.label = new
        if self.final == old:
            self.final = new
        self.choice.merge_labels(old, new)

    @cython.cfunc
    @cython.exceptval(-2)
    def named(self, k: cython.Py_ssize_t, state: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The number reported for a state of a scale; a new one if it has none."""
        at: cython.Py_ssize_t = k * MOST_STATES + state
        if self.number[at] < 0:
            self.number[at] = self.new_number()
        return self.number[at]

    @cython.cfunc
    @cython.exceptval(-1)
    def may_be_current(self, k: cython.Py_ssize_t, state: cython.Py_ssize_t) -> cython.bint:
        """Whether a state of scale k may be the regime that is reported now.

        It may if that regime was born last, no state of the scale has its number yet, and this one
        has no number.
        """
        s: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * MOST_STATES
        result: cython.bint = self.label == self.n_numbers - 1 and self.number[at + state] < 0
        for s in range(MOST_STATES):
            if self.number[at + s] == self.label:
                result = False
        return result

    @cython.cfunc
    @cython.exceptval(-2)
    def new_number(self) -> cython.Py_ssize_t:
        """A number that was not reported yet; that it is born is told."""
        self.events.append(("born", self.now, self.n_numbers))
        self.n_numbers += 1
        return self.n_numbers - 1

    @cython.cfunc
    def report(
        self,
        k: cython.Py_ssize_t,
        place: cython.Py_ssize_t,
        state: cython.Py_ssize_t,
        certainty: cython.double,
    ) -> Any:
        """Tell a change, if it is one."""
        label: cython.Py_ssize_t
        scale: Scale = cython.cast(Scale, self.scales[k])
        if place <= self.since + scale.window // 2 and self.may_be_current(k, state):
            # another scale has told this change, and the regime that was born with it
            self.number[k * MOST_STATES + state] = self.label
            self.final = -1
        label = self.named(k, state)
        if label == self.label:
            return
        before: cython.Py_ssize_t = self.final if self.final >= 0 else self.label
        self.final = -1
        if place <= self.since:
            place = self.since + 1
        self.events.append(("segment", self.since, place, before))
        self.events.append(("change", place, self.now, before, label, certainty, scale.window))
        self.label = label
        self.since = place
        self.certainty = certainty
        self.choice.label_from(place, label)

    @cython.cfunc
    def change_over(self, k: cython.Py_ssize_t) -> Any:
        """Another scale takes over; its states get the numbers that they overlap with most."""
        s: cython.Py_ssize_t
        number: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * MOST_STATES
        scale: Scale = cython.cast(Scale, self.scales[k])
        least: cython.Py_ssize_t = scale.window
        for s in range(MOST_STATES):
            self.number[at + s] = -1
        if self.n_numbers == 1:
            # the first regime goes on until a change is reported
            self.number[at] = 0
        else:
            taken = set()
            for s, number in self.choice.overlaps(k):
                if self.number[at + s] < 0 and number not in taken:
                    self.number[at + s] = number
                    taken.add(number)
        self.choice.chosen = k
        self.final = -1
        for place, state, certainty in self.history[k]:
            if place > self.since + least:
                self.report(k, place, state, certainty)
        if scale.base_row > self.since + least:
            self.report(k, scale.base_row, scale.now, 0.5)
            return
        # both scales see the same segment going on: no change is reported
        newest: cython.Py_ssize_t = self.n_numbers - 1
        number = self.named(k, scale.now)
        seen = self.now - self.since >= SEEN * scale.window
        if self.label != newest or number >= newest or not seen:
            # when it is over, it is told what this scale takes it for
            if number != self.label:
                self.final = number
            return
        # the regime that was told last goes on, though this scale has not seen it begin
        for s in range(MOST_STATES):
            if self.number[at + s] == newest:
                self.number[at + s] = -1
        self.number[at + scale.now] = newest

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        return {
            **self.channels.state(),
            **self.choice.state(),
            "window": self.fixed_window,
            "max_regimes": self.max_regimes,
            "windows": [scale.shape() for scale in self.scales],
            "scales": [scale.state() for scale in self.scales],
            "history": [list(changes) for changes in self.history],
            "told": list(self.events),
            "fed": bytes(self.fed),
            "number": bytes(self.number),
            "n_numbers": self.n_numbers,
            "label": self.label,
            "since": self.since,
            "final": self.final,
            "certainty": self.certainty,
            "gap_row": self.gap_row,
        }

    @staticmethod
    def from_state(state: dict[str, Any]) -> Partition:
        """The core whose state this is."""
        core = Partition(
            whole(state["n_channels"], "n_channels", 1),
            whole(state["window"], "window"),
            whole(state["max_regimes"], "max_regimes", 1, MOST_STATES),
        )
        core.load(state)
        return core

    def load(self, state: dict[str, Any]) -> None:
        if len(state["windows"]) > self.n_scales:
            raise ValueError("there are more windows than scales")
        for stride, length, periodic in state["windows"]:
            self.add_blocks(
                whole(stride, "stride", 1), whole(length, "length", 1), flag(periodic, "periodic")
            )
        for scale, one in zip(self.scales, state["scales"], strict=True):
            scale.load(one)
        if len(state["history"]) != len(self.scales):
            raise ValueError("each scale has a history")
        self.history = [[known(one) for one in changes] for changes in state["history"]]
        self.events = [tuple(one) for one in state["told"]]
        self.channels.load(state)
        self.choice.load(state)
        self.fed = places(state, "fed", len(self.fed))
        self.number = places(state, "number", len(self.number), -1)
        self.n_numbers = whole(state["n_numbers"], "n_numbers")
        self.label = whole(state["label"], "label", -1)
        self.since = whole(state["since"], "since")
        self.final = whole(state["final"], "final", -1)
        self.gap_row = whole(state["gap_row"], "gap_row")
        self.certainty = real(state["certainty"], "certainty", 0.0, 1.0)

    def __reduce__(self) -> Any:
        return partition_from_state, (self.state(),)

    def drain(self) -> list[tuple[Any, ...]]:
        """What there is to tell since the last time, oldest first."""
        result = list(self.events)
        self.events.clear()
        return result


def known(change: Any) -> tuple[int, int, float]:
    """A change of a scale's history: its place, its state and how certain it is."""
    place, state, certainty = change
    return (
        whole(place, "place"),
        whole(state, "state", 0, MOST_STATES - 1),
        real(certainty, "certainty", 0.0, 1.0),
    )


def partition_from_state(state: dict[str, Any]) -> Partition:
    return Partition.from_state(state)
