"""Which of the scales answers.

States of all scales are kept at up to 256 rows of the stream so far, its snapshots. A scale with
short windows answers when its regimes are clear: when they return, last, and are far apart, so that
short windows see levels and not the parts of a rhythm. If there is none, the scale answers on whose
regimes another one agrees most: regimes show in windows of several lengths, what drifts or varies
by chance does not. A scale of longer windows answers instead when it sees far fewer changes between
long stays, and one of any windows when others have agreed with it far more for some time.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.channels import Channels
    from cython.cimports.online_gmm._kernel.memory import Memory, first_place
    from cython.cimports.online_gmm._kernel.scale import Scale
    from cython.cimports.online_gmm._kernel.states import States
else:
    from online_gmm._kernel.channels import Channels
    from online_gmm._kernel.memory import Memory, first_place
    from online_gmm._kernel.scale import Scale
    from online_gmm._kernel.states import States
from array import array
from typing import Any

from online_gmm._kernel.states import MOST_STATES
from online_gmm._kernel.values import block, places, whole, zeros

IMMEDIATE = 2
"""Scales whose windows are the shortest: they do not wait for the period."""
RHYTHM = 0.67
"""Above this autocorrelation no window is shorter than the period."""
N_SNAPSHOTS = 256
CLEAR_CHANGES = 3.0
"""The regimes of short windows are clear from so many changes on; see `Partition.weigh`."""
CLEAR_APART = 1.0
CLEAR_NOISE = 2.3
CLEAR_STAY = 8.0
PLAIN_APART = 0.3
"""Regimes within which nothing but noise is left are clear from the first change on."""
PLAIN_NOISE = 1.12
PLAIN_STAY = 20.0
FAR_APART = 1.5
"""Few regimes, far apart and visited often, may have stays of some windows of the shortest."""
FAR_NOISE = 1.25
FAR_STAY = 5.0
FAR_VISITS = 4.0
FAR_VISIT = 3.0
"""Windows that a visit to each lasts in the mean if there is a rhythm: its spikes are shorter."""
STEEP = 0.55
"""Windows next to a change differ by this share of what its segments differ by, at least."""
SURE_CHANGES = 12.0
"""With so many changes and no more than noise within regimes, these need not have returned."""
SURE_NOISE = 1.0
LENIENT = 1.5
"""Regimes that were clear remain so with less."""
FIRST_CHOICE = 64
USUAL = 4
"""The scale that answers when no shorter one is clear and no other agrees with one more; a longer
one where rare events are all that it sees."""
COMPARED = 3
"""From this scale on, it counts whether another sees the same regimes."""
COMPARED_WINDOWS = 6
"""A scale is compared when the stream is so many windows long."""
TRUST = 0.15
"""By how much the adjusted Rand index of others must be higher than that of the usual scale."""
PATIENCE = 0.1
"""And than that of the scale that answers."""
FEWER = 3.0
"""A scale of longer windows is calm when it sees so many times fewer changes,"""
CALM_STAY = 8.0
"""and when its segments last for so many of its windows, in the mean;"""
AS_APART = 0.2
"""its regimes must be so far apart as a share of those of the scale of shorter windows."""
STILL_CALM = 2.5
"""Once it answers, so many times fewer or shorter is enough."""
SUPPORTED = 0.5
"""By how much a scale of any windows must be more agreed on than the one that would answer."""
SUPPORTED_TIMES = 4
"""And so many times in turn: longer windows may soon see the same regimes."""
SUPPORTED_STAY = 12.0
"""Its segments must last for so many of its windows, in the mean,"""
SUPPORTED_WINDOWS = 32
"""and the stream be so many windows of the usual scale long."""
SHARED = 0.7
"""From this adjusted Rand index on, two scales see the same regimes."""


@cython.cfunc
@cython.exceptval(check=False)
def state_of(scale: Scale) -> cython.Py_ssize_t:
    """The state a scale is in, the first one while it has looks only, -1 before."""
    if scale.now >= 0:
        return scale.now
    return 0 if scale.metric.n_looks > 0 else -1


@cython.final
@cython.cclass
class Choice:
    """The choice among scales, shortest windows first, by their states at snapshots.

    Parameters
    ----------
    channels
        The rows that the scales see.
    scales
        The scales; more may be added later.
    most
        How many there will be at most.
    """

    channels: Channels
    scales: list[Scale]
    chosen: cython.Py_ssize_t  # the scale that answers, -1 before there is one
    clear: cython.double[::1]
    supported: cython.Py_ssize_t  # what others agreed on far more last time, -1 at first
    times: cython.Py_ssize_t  # how often in turn
    turn: cython.Py_ssize_t
    every: cython.Py_ssize_t  # rows between snapshots
    n_snapshots: cython.Py_ssize_t
    snapshot_row: cython.Py_ssize_t[::1]
    snapshot_label: cython.Py_ssize_t[::1]  # as reported
    snapshot_state: cython.Py_ssize_t[::1]  # of each scale, -1 while it has no look

    def __init__(self, channels: Channels, scales: list[Scale], most: int) -> None:
        self.channels = channels
        self.scales = scales
        self.chosen = -1
        self.clear = zeros(most)
        self.supported = -1
        self.times = 0
        self.turn = 0
        self.every = 1
        self.n_snapshots = 0
        self.snapshot_row = array("q", bytes(8 * N_SNAPSHOTS))
        self.snapshot_label = array("q", bytes(8 * N_SNAPSHOTS))
        self.snapshot_state = array("q", [-1] * (N_SNAPSHOTS * most))

    @cython.cfunc
    @cython.exceptval(-2)
    def take(self, label: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Keep the states after a row if that is due; the scale to answer now, -1 for no other."""
        n: cython.Py_ssize_t = self.channels.n
        if n % self.every != 0 or not self.keep(label):
            return -1
        if n < FIRST_CHOICE or len(self.scales) < 2:
            return -1
        if self.turn < USUAL:
            self.weigh(self.turn)
        self.turn += 1
        if self.turn < len(self.scales):
            return -1
        self.turn = 0
        return self.best()

    @cython.cfunc
    @cython.exceptval(-1)
    def keep(self, label: cython.Py_ssize_t) -> cython.bint:
        """Keep the states of all scales; of too many snapshots every second one is dropped."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t
        room: cython.Py_ssize_t = N_SNAPSHOTS
        if self.n_snapshots == room:
            n = room // 2
            for i in range(n):
                self.snapshot_row[i] = self.snapshot_row[2 * i + 1]
                self.snapshot_label[i] = self.snapshot_label[2 * i + 1]
            for k in range(len(self.scales)):
                j = k * room
                for i in range(n):
                    self.snapshot_state[j + i] = self.snapshot_state[j + 2 * i + 1]
            self.n_snapshots = n
            self.every *= 2
            if self.channels.n % self.every != 0:
                return False
        i = self.n_snapshots
        self.snapshot_row[i] = self.channels.n - 1
        self.snapshot_label[i] = label
        for k in range(len(self.scales)):
            self.snapshot_state[k * room + i] = state_of(cython.cast(Scale, self.scales[k]))
        self.n_snapshots += 1
        return True

    @cython.cfunc
    @cython.exceptval(check=False)
    def label_from(self, row: cython.Py_ssize_t, label: cython.Py_ssize_t) -> cython.int:
        """What was reported is this label from a row on."""
        i: cython.Py_ssize_t
        for i in range(self.n_snapshots):
            if self.snapshot_row[i] >= row:
                self.snapshot_label[i] = label
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def merge_labels(self, gone: cython.Py_ssize_t, kept: cython.Py_ssize_t) -> cython.int:
        """Two labels are one."""
        i: cython.Py_ssize_t
        for i in range(self.n_snapshots):
            if self.snapshot_label[i] == gone:
                self.snapshot_label[i] = kept
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def state_from(
        self, k: cython.Py_ssize_t, row: cython.Py_ssize_t, state: cython.Py_ssize_t
    ) -> cython.int:
        """Scale k is in this state from a row on."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * N_SNAPSHOTS
        for i in range(self.n_snapshots):
            if self.snapshot_row[i] >= row and self.snapshot_state[at + i] >= 0:
                self.snapshot_state[at + i] = state
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def merge_states(
        self, k: cython.Py_ssize_t, gone: cython.Py_ssize_t, kept: cython.Py_ssize_t
    ) -> cython.int:
        """Two states of scale k are one."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * N_SNAPSHOTS
        for i in range(self.n_snapshots):
            if self.snapshot_state[at + i] == gone:
                self.snapshot_state[at + i] = kept
        return 0

    @cython.cfunc
    def overlaps(self, k: cython.Py_ssize_t) -> Any:
        """Pairs of a state of scale k and a label, those first that are seen together most."""
        i: cython.Py_ssize_t
        s: cython.Py_ssize_t
        overlap: dict[Any, Any] = {}
        for i in range(self.n_snapshots):
            s = self.snapshot_state[k * N_SNAPSHOTS + i]
            if s >= 0 and self.snapshot_label[i] >= 0:
                pair = (s, self.snapshot_label[i])
                overlap[pair] = overlap.get(pair, 0) + 1
        return [pair for pair, _ in sorted(overlap.items(), key=order)]

    @cython.cfunc
    @cython.exceptval(-1)
    def is_long(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether the windows of a scale are no shorter than a clear period."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        return self.channels.rhythm <= RHYTHM or scale.window >= 0.9 * self.channels.period

    @cython.cfunc
    @cython.exceptval(-2)
    def weigh(self, k: cython.Py_ssize_t) -> cython.int:
        """See whether the regimes of a scale with short windows are clear.

        They are if they return, last for several windows, are far apart beside what a window varies
        by within a segment, and if that is not much more than from one window to the next: short
        windows of a curve or a rhythm follow its parts, which are no regimes. Where windows vary no
        more within a segment than from one to the next, the first change is enough; more than two
        regimes must then be seen by a scale with longer windows too. Of the shortest windows a few
        levels that are far apart are clear whatever their rhythm: the parts of a curve are many.
        Levels that are as far apart are clear however many they are, if there is no rhythm, nothing
        but noise is left within them and a scale with longer windows sees them too. Regimes of the
        shortest windows are never clear where a curve leads from one to the next. Nor are those of
        windows to which all that moves are rare events.
        """
        scale: Scale = cython.cast(Scale, self.scales[k])
        states: States = scale.states
        changes: cython.double = scale.n_changes
        others: cython.double
        ease: cython.double = LENIENT if self.clear[k] > 0.0 else 1.0
        far: cython.double = FAR_APART if k < IMMEDIATE else CLEAR_APART
        few: cython.double = FAR_VISITS if k < IMMEDIATE else 1.0
        apart: cython.double
        noise: cython.double
        self.clear[k] = 0.0
        if changes < 1.0 or not scale.jumps_by(STEEP / ease) or self.sees_events(k):
            return 0
        scale.measure()
        if states.windows <= 0.0 or scale.within + states.between <= 0.0:
            return 0
        others = states.n_seen - 1.0
        # a switch does not vary within its regimes
        apart = states.between / scale.within if scale.within > 0.0 else 1e300
        noise = scale.within / (scale.metric.freedom * states.windows)
        if (
            (
                ease * apart >= PLAIN_APART
                and noise <= 1.0 + ease * (PLAIN_NOISE - 1.0)
                and ease * states.windows >= PLAIN_STAY * (changes + 1.0)
                and (others <= 1.0 or self.is_shared(k))
            )
            or (
                k < IMMEDIATE
                and changes >= SURE_CHANGES
                and self.is_long(k)
                and ease * apart >= FAR_APART
                and noise <= SURE_NOISE
                and ease * states.windows >= FAR_STAY * (changes + 1.0)
                and self.is_shared(k)
            )
            or (
                changes >= CLEAR_CHANGES
                and self.is_long(k)
                and few * others * others <= ease * changes
                and ease * apart >= far
                and noise <= ease * CLEAR_NOISE
                and ease * states.windows >= CLEAR_STAY * (changes + 1.0)
            )
            or (
                k < IMMEDIATE
                and changes >= CLEAR_CHANGES
                and FAR_VISITS * others * others <= ease * changes
                and (ease * states.shortest >= FAR_VISIT or self.is_long(k))
                and ease * apart >= FAR_APART
                and noise <= 1.0 + ease * (FAR_NOISE - 1.0)
                and ease * states.windows >= FAR_STAY * (changes + 1.0)
            )
        ):
            self.clear[k] = apart
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def best(self) -> cython.Py_ssize_t:
        """The shortest scale whose regimes are clear; if there is none, by agreement of scales.

        A calm scale of longer windows is preferred to it, and one that others agree on far more.
        """
        k: cython.Py_ssize_t
        for k in range(min(USUAL, len(self.scales))):
            if self.clear[k] > 0.0:
                return self.most_supported(self.calmest(k))
        if len(self.scales) > USUAL and cython.cast(Scale, self.scales[USUAL]).fitted:
            return self.most_supported(self.calmest(self.most_agreed()))
        return -1

    @cython.cfunc
    @cython.exceptval(-2)
    def usual(self) -> cython.Py_ssize_t:
        """The scale that answers if no other one is better: one that sees more than rare events."""
        k: cython.Py_ssize_t
        for k in range(USUAL, len(self.scales)):
            if self.is_comparable(k) and not self.sees_events(k):
                return k
        return USUAL

    @cython.cfunc
    @cython.exceptval(-1)
    def sees_events(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether all that moves are rare events to the windows of a scale."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        return scale.blocks.bursts.are_all()

    @cython.cfunc
    @cython.exceptval(-2)
    def most_agreed(self) -> cython.Py_ssize_t:
        """The scale whose regimes another scale sees most alike."""
        k: cython.Py_ssize_t
        usual: cython.Py_ssize_t = self.usual()
        best: cython.Py_ssize_t = usual
        most: cython.double = -1.0
        index: cython.double
        likeness: cython.double[::1] = self.likeness(COMPARED)
        for k in range(COMPARED, len(self.scales)):
            if k == usual or self.is_comparable(k):
                index = likeness[k]
                if k == usual:
                    index += TRUST
                if k == self.chosen:
                    index += PATIENCE
                if index > most:
                    most = index
                    best = k
        return best

    @cython.cfunc
    @cython.exceptval(-2)
    def most_supported(self, k: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The scale that has been agreed on far more than scale k for some time, else k.

        Short windows often see the parts of a curve or a rhythm. Where their segments are long and
        another scale sees the same ones, they see regimes, and longer windows see too little. The
        shortest windows must see jumps, as where their regimes are clear.
        """
        j: cython.Py_ssize_t
        result: cython.Py_ssize_t = k
        scale: Scale
        index: cython.double
        most: cython.double
        likeness: cython.double[::1]
        if k < IMMEDIATE or len(self.scales) <= USUAL:
            return k
        scale = cython.cast(Scale, self.scales[USUAL])
        if self.channels.n < SUPPORTED_WINDOWS * scale.window:
            return k
        likeness = self.likeness(0)
        most = likeness[k] + SUPPORTED
        for j in range(len(self.scales)):
            scale = cython.cast(Scale, self.scales[j])
            if (
                j != k
                and self.is_long(j)
                and (j >= IMMEDIATE or scale.jumps_by(STEEP))
                and (j >= USUAL or not self.sees_events(j))
                and SUPPORTED_STAY * scale.window * (scale.n_changes + 1.0) <= self.channels.n
            ):
                index = likeness[j]
                if j == self.chosen:
                    index += PATIENCE
                if index > most:
                    most = index
                    result = j
        self.times = self.times + 1 if result == self.supported else 1
        self.supported = result
        return result if result == self.chosen or self.times >= SUPPORTED_TIMES else k

    @cython.cfunc
    def likeness(self, least: cython.Py_ssize_t) -> cython.double[::1]:
        """How alike another scale sees the regimes of each at most, of those from the least on."""
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(self.scales)
        index: cython.double
        result: cython.double[::1] = zeros(n)
        for k in range(least, n):
            if not self.is_comparable(k):
                continue
            for j in range(least, k):
                if self.is_comparable(j) and self.differ(j, k):
                    index = self.rand_index(j, k)
                    if index > result[j]:
                        result[j] = index
                    if index > result[k]:
                        result[k] = index
        return result

    @cython.cfunc
    @cython.exceptval(-2)
    def calmest(self, k: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The scale of longer windows than k that sees fewest changes, if far fewer; else k.

        What changes within regimes that last for many long windows is what they vary by. But not
        where the segments that scale k sees are shorter than these windows, nor where the regimes
        that these show are hardly apart, nor where clear regimes of short windows return.
        """
        j: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(self.scales)
        result: cython.Py_ssize_t = k
        scale: Scale = cython.cast(Scale, self.scales[k])
        states: States = scale.states
        changes: cython.double
        ease: cython.double
        apart: cython.double
        others: cython.double
        n_segments: cython.double = scale.n_changes + 1.0
        least: cython.double = scale.n_changes / FEWER
        longer: cython.Py_ssize_t = USUAL if k < USUAL else k
        if least < 1.0:
            return k
        scale.measure()
        others = states.n_seen - 1.0
        if k < USUAL and others * others <= scale.n_changes:
            return k
        apart = AS_APART * states.between / scale.within if scale.within > 0.0 else 1e300
        for j in range(longer + 1, n):
            scale = cython.cast(Scale, self.scales[j])
            changes = scale.n_changes
            ease = STILL_CALM if j == self.chosen else 1.0
            if (
                changes >= 1.0
                and changes <= ease * least
                and self.is_comparable(j)
                and self.differ(k, j)
                and scale.window * n_segments <= self.channels.n
                and CALM_STAY * scale.window * (changes + 1.0) <= ease * self.channels.n
            ):
                scale.measure()
                states = scale.states
                if states.n_seen > 1 and states.between >= apart * scale.within:
                    least = changes
                    result = j
        return result

    @cython.cfunc
    @cython.exceptval(-1)
    def is_shared(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether a scale with longer windows sees regimes like those of scale k."""
        j: cython.Py_ssize_t
        for j in range(k + 1, len(self.scales)):
            if self.is_comparable(j) and self.rand_index(k, j) >= SHARED:
                return True
        return False

    @cython.cfunc
    @cython.exceptval(-1)
    def is_comparable(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether a scale has seen enough to be compared with others."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        return scale.fitted and self.channels.n >= COMPARED_WINDOWS * scale.window

    @cython.cfunc
    @cython.exceptval(-1)
    def differ(self, j: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.bint:
        """Whether the windows of two scales, the shorter first, are not of nearly one length."""
        one: Scale = cython.cast(Scale, self.scales[j])
        other: Scale = cython.cast(Scale, self.scales[k])
        return 4 * other.window >= 5 * one.window

    @cython.cfunc
    @cython.exceptval(-2)
    def rand_index(self, j: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.double:
        """The adjusted Rand index of the states of two scales, 0 if one of them has one state.

        Of snapshots at which both have one (Hubert & Arabie 1985). Snapshots in a row at which
        neither changes are counted at once: all sums are whole numbers.
        """
        i: cython.Py_ssize_t = 0
        begin: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        n_rows: cython.Py_ssize_t = 1
        n_columns: cython.Py_ssize_t = 1
        n_snapshots: cython.Py_ssize_t = self.n_snapshots
        one: cython.Py_ssize_t = j * N_SNAPSHOTS
        other: cython.Py_ssize_t = k * N_SNAPSHOTS
        states: cython.p_Py_ssize_t = first_place(self.snapshot_state)
        n: cython.double = 0.0
        v: cython.double
        within: cython.double
        both: cython.double = 0.0
        ours: cython.double = 0.0
        theirs: cython.double = 0.0
        for i in range(n_snapshots):
            a = states[one + i] + 1
            b = states[other + i] + 1
            n_rows = a if a > n_rows else n_rows
            n_columns = b if b > n_columns else n_columns
        counts = Memory(n_rows * n_columns + n_rows + n_columns)
        table: cython.p_double = counts.piece(n_rows * n_columns)
        rows: cython.p_double = counts.piece(n_rows)
        columns: cython.p_double = counts.piece(n_columns)
        i = 0
        while i < n_snapshots:
            a = states[one + i]
            b = states[other + i]
            begin = i
            i += 1
            while i < n_snapshots and states[one + i] == a and states[other + i] == b:
                i += 1
            if a >= 0 and b >= 0:
                v = 1.0 * (i - begin)
                n += v
                # pairs: a further one for each that is there
                within = v * (v - 1.0) * 0.5
                both += v * table[a * n_columns + b] + within
                ours += v * rows[a] + within
                theirs += v * columns[b] + within
                table[a * n_columns + b] += v
                rows[a] += v
                columns[b] += v
        v = n * (n - 1.0) * 0.5
        if ours == v or theirs == v:
            return 0.0
        v = ours * theirs / v
        return (both - v) / (0.5 * (ours + theirs) - v)

    def state(self) -> dict[str, Any]:
        return {
            "clear": bytes(self.clear),
            "snapshot_row": bytes(self.snapshot_row),
            "snapshot_label": bytes(self.snapshot_label),
            "snapshot_state": bytes(self.snapshot_state),
            "chosen": self.chosen,
            "supported": self.supported,
            "supported_times": self.times,
            "turn": self.turn,
            "every": self.every,
            "n_snapshots": self.n_snapshots,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.clear = block(state, "clear", len(self.clear), False)
        self.snapshot_row = places(state, "snapshot_row", len(self.snapshot_row))
        self.snapshot_label = places(state, "snapshot_label", len(self.snapshot_label), -1)
        self.snapshot_state = places(
            state, "snapshot_state", len(self.snapshot_state), -1, MOST_STATES - 1
        )
        self.chosen = whole(state["chosen"], "chosen", -1, len(self.scales) - 1)
        self.supported = whole(state["supported"], "supported", -1, len(self.scales) - 1)
        self.times = whole(state["supported_times"], "supported_times")
        self.turn = whole(state["turn"], "turn", 0, max(0, len(self.scales) - 1))
        self.every = whole(state["every"], "every", 1)
        self.n_snapshots = whole(state["n_snapshots"], "n_snapshots", 0, N_SNAPSHOTS)


def order(item: Any) -> Any:
    """Greatest overlap first, then the smaller numbers."""
    return -item[1], item[0]
