"""Whether a stream jumps from one segment to the next, or a curve leads there.

A change makes two differences: between the windows just before and just after it, and between the
means of its segments. Where regimes switch, the one is as large as the other. There are segments
in a curve too, but there the windows next to a change are hardly different.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, packed, unpack
    from cython.cimports.online_gmm._kernel.metric import Metric
else:
    from online_gmm._kernel.memory import Memory, copy, packed, unpack
    from online_gmm._kernel.metric import Metric
from typing import Any

from online_gmm._kernel.values import block, flag, real, whole

EACH = 1.2
"""Of single steps the mean share must be so many times what is asked of all steps together."""
LATE = 3
"""A change that is clear only after so many windows is no jump."""
KEPT = 5
"""Windows that are kept where steps are summed up: a change that is clear later is left out."""


@cython.final
@cython.no_gc
@cython.cclass
class Jumps(Memory):
    """The jumps of p features that are looked at ``length`` times a window.

    With ``summed``, steps are summed up too, also those of changes that are clear a little later.
    """

    n_features: cython.Py_ssize_t
    length: cython.Py_ssize_t
    n_kept: cython.Py_ssize_t  # looks
    ring: cython.p_double  # features of the last looks
    mean: cython.p_double  # of the last segment that is over
    jump: cython.p_double  # at the beginning of the segment that is going on
    known: cython.bint  # whether that is
    late: cython.bint  # whether the change there was clear too late for a jump
    step: cython.p_double
    white_step: cython.p_double
    white_jump: cython.p_double
    product: cython.double  # of the jump and the step that was looked at last
    square: cython.double  # of this step
    along: cython.double  # products of jumps and of steps from mean to mean, summed
    size: cython.double  # squares of these steps, summed
    shares: cython.double  # of each step that its jump makes, from 0 to 1, summed
    n: cython.Py_ssize_t  # steps

    def __init__(self, n_features: int, length: int, summed: bool) -> None:
        p = n_features
        self.n_features = p
        self.length = length
        self.n_kept = (KEPT if summed else LATE) * length
        Memory.__init__(self, p * (self.n_kept + 5))
        self.ring = self.piece(p * self.n_kept)
        self.mean = self.piece(p)
        self.jump = self.piece(p)
        self.step = self.piece(p)
        self.white_step = self.piece(p)
        self.white_jump = self.piece(p)
        self.known = False
        self.late = False
        self.product = 0.0
        self.square = 0.0
        self.along = 0.0
        self.size = 0.0
        self.shares = 0.0
        self.n = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def take(self, f: cython.p_double, look: cython.Py_ssize_t) -> cython.int:
        """Keep the features of a look."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = look % self.n_kept * self.n_features
        for i in range(self.n_features):
            self.ring[at + i] = f[i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def end(
        self,
        mean: cython.p_double,
        change: cython.Py_ssize_t,
        now: cython.Py_ssize_t,
        metric: Metric,
    ) -> cython.int:
        """A segment of this mean has ended: the next one begins with look ``change``."""
        i: cython.Py_ssize_t
        along: cython.double
        p: cython.Py_ssize_t = self.n_features
        before: cython.Py_ssize_t = change - 1
        after: cython.Py_ssize_t = before + self.length  # the first look that does not straddle
        if self.known:
            self.look_at(mean, metric)
            self.along += self.product
            self.size += self.square
            if self.square > 0.0:
                along = self.product / self.square
                self.shares += 1.0 if along > 1.0 else 0.0 if along < 0.0 else along
                self.n += 1
        copy(mean, p, self.mean)
        self.late = now >= before + LATE * self.length
        self.known = after <= now < before + self.n_kept
        if self.known:
            after = after % self.n_kept * p
            before = before % self.n_kept * p
            for i in range(p):
                self.jump[i] = self.ring[after + i] - self.ring[before + i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def look_at(self, mean: cython.p_double, metric: Metric) -> cython.int:
        """Compare the jump with the step from the last segment that is over to one of this mean."""
        i: cython.Py_ssize_t
        for i in range(self.n_features):
            self.step[i] = mean[i] - self.mean[i]
        metric.whiten(self.step, self.white_step)
        metric.whiten(self.jump, self.white_jump)
        self.product = 0.0
        self.square = 0.0
        for i in range(self.n_features):
            self.product += self.white_jump[i] * self.white_step[i]
            self.square += self.white_step[i] * self.white_step[i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def share(self, mean: cython.p_double, metric: Metric) -> cython.double:
        """The share that the jump makes of the step to a segment of this mean.

        0 if the change was clear too late for a jump, 1 if the jump is not known.
        """
        if self.late:
            return 0.0
        if not self.known:
            return 1.0
        self.look_at(mean, metric)
        return self.product / self.square if self.square > 0.0 else 1.0

    @cython.cfunc
    @cython.exceptval(check=False)
    def make_up(self, share: cython.double) -> cython.bint:
        """Whether jumps make up this share of all steps together, and more of the mean step.

        A large jump outweighs the many small steps of a curve that leads on from it.
        """
        each: cython.double = EACH
        return self.along >= share * self.size and self.shares >= each * share * self.n

    def state(self) -> dict[str, Any]:
        p = self.n_features
        return {
            "ring": packed(self.ring, p * self.n_kept),
            "mean": packed(self.mean, p),
            "jump": packed(self.jump, p),
            "known": bool(self.known),
            "late": bool(self.late),
            "along": self.along,
            "size": self.size,
            "shares": self.shares,
            "n_steps": self.n,
        }

    def load(self, state: dict[str, Any]) -> None:
        p = self.n_features
        unpack(block(state, "ring", p * self.n_kept), self.ring, p * self.n_kept)
        unpack(block(state, "mean", p), self.mean, p)
        unpack(block(state, "jump", p), self.jump, p)
        self.known = flag(state["known"], "known")
        self.late = flag(state["late"], "late")
        self.along = real(state["along"], "along", -1e300)
        self.size = real(state["size"], "size", 0.0)
        self.shares = real(state["shares"], "shares", 0.0)
        self.n = whole(state["n_steps"], "n_steps")
