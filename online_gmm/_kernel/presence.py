"""Which channels a window sees: how many readings it has of each, and how many it usually has.

A channel that usually has hardly a reading in a window is not seen by it, nor is one that has far
fewer readings than usual at the moment. A channel that usually has many and has none is silent;
until that is known, windows say nothing, so that a short gap is no regime.

What is usual is the mean over the last looks, but it is only followed in steps of a factor of two:
a channel at the limit would be seen at some looks and not at others.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, packed, unpack
else:
    from online_gmm._kernel.memory import Memory, packed, unpack
from typing import Any

from online_gmm._kernel.values import block, real

FEWEST = 4
"""Readings from which a window says something of a channel, or half of a shorter window."""
PLENTY = 8
"""Readings it must usually have then, or three quarters of a shorter window."""
PRESENT = 7
"""A channel that usually has so many readings in a window and has none is silent,"""
OFTEN = 0.95
"""or one that usually has a reading in this share of the rows of a shorter window,"""
SILENCE = 24
"""once so many rows have none. Until then, but not for half a window longer, the window says
nothing: it may be a short gap."""
FOLLOW = 256
"""Looks over which the usual number of readings is averaged,"""
EXPECTED = 32
"""and looks for which what was expected at the start counts."""
CHANGED = 2.0
"""What is usual has changed if the mean is so many times more or less."""


@cython.final
@cython.no_gc
@cython.cclass
class Presence(Memory):
    """The readings of each channel in windows of ``length`` blocks of ``stride`` rows.

    Parameters
    ----------
    n_channels
        Numbers in a row.
    stride, length
        Of the window.
    """

    n_channels: cython.Py_ssize_t
    length: cython.Py_ssize_t
    stride: cython.double
    window: cython.double
    seen: cython.p_double  # 1 for a channel that is seen, -1 for one that is silent, else 0
    usual: cython.p_double  # readings
    mean: cython.p_double  # of the last looks
    n_looks: cython.p_double  # with a reading
    n_silent: cython.p_double  # rows without a reading
    fewest: cython.double
    plenty: cython.double
    present: cython.double
    silence: cython.double
    follow: cython.double
    changed: cython.double
    n_doubtful: cython.Py_ssize_t  # channels that may be about to be silent, at this look
    unsure: cython.double  # rows for which there have been some
    patience: cython.double

    def __init__(self, n_channels: int, stride: int, length: int) -> None:
        d = n_channels
        window = stride * length
        self.n_channels = d
        self.length = length
        self.stride = stride
        self.window = window
        Memory.__init__(self, 5 * d)
        self.seen = self.piece(d)
        self.usual = self.piece(d)
        self.mean = self.piece(d)
        self.n_looks = self.piece(d)
        self.n_silent = self.piece(d)
        self.fewest = min(FEWEST, 0.5 * window)
        self.plenty = min(PLENTY, 0.75 * window)
        self.present = min(PRESENT, OFTEN * window)
        self.silence = SILENCE
        self.follow = 1.0 / FOLLOW
        self.changed = CHANGED
        self.n_doubtful = 0
        self.unsure = 0.0
        self.patience = SILENCE + 0.5 * window

    def expect(self, shares: cython.double[::1]) -> None:
        """Say in what share of the rows each channel has a reading; 0 where that is not known."""
        j: cython.Py_ssize_t
        for j in range(self.n_channels):
            if shares[j] > 0.0:
                self.usual[j] = shares[j] * self.window
                self.mean[j] = self.usual[j]
                self.n_looks[j] = EXPECTED + self.length

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count(self, j: cython.Py_ssize_t, n: cython.double) -> cython.int:
        """Say that a window has n readings of a channel: ``seen`` has what follows."""
        gain: cython.double
        usual: cython.double = self.usual[j]
        self.seen[j] = 0.0
        if n == 0.0:
            self.n_silent[j] += self.stride if self.n_silent[j] > 0.0 else self.window
            if usual >= self.present and self.n_silent[j] >= self.silence:
                self.seen[j] = -1.0
            elif usual >= self.present:
                self.n_doubtful += 1
            return 0
        self.n_silent[j] = 0.0
        self.n_looks[j] += 1.0
        if self.n_looks[j] < self.length:
            # readings have just begun: windows are not full of them yet
            return 0
        gain = 1.0 / (self.n_looks[j] - self.length + 1.0)
        self.mean[j] += (gain if gain > self.follow else self.follow) * (n - self.mean[j])
        if self.mean[j] > self.changed * usual or self.changed * self.mean[j] < usual:
            usual = self.mean[j]
            self.usual[j] = usual
        if usual >= self.plenty and n >= self.fewest and 2.0 * n >= usual:
            self.seen[j] = 1.0
        elif usual >= self.present:
            self.n_doubtful += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def end_look(self) -> cython.bint:
        """End a look; return whether it counts: it does not while a channel may become silent."""
        if self.n_doubtful == 0:
            self.unsure = 0.0
            return True
        self.n_doubtful = 0
        self.unsure += self.stride
        return self.unsure > self.patience

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_enough(
        self, n: cython.double, j: cython.Py_ssize_t, k: cython.Py_ssize_t, most: cython.double
    ) -> cython.bint:
        """Whether n pairs of readings of two channels, of so many rows, say something.

        So many are compared with what there usually are if both are missing independently.
        """
        usual: cython.double = self.usual[j] / self.window * (self.usual[k] / self.window) * most
        least: cython.double = 0.75 * most
        if least > self.plenty:
            least = self.plenty
        return usual >= least and 2.0 * n >= usual

    def state(self) -> dict[str, Any]:
        d = self.n_channels
        return {
            "usual": packed(self.usual, d),
            "mean": packed(self.mean, d),
            "n_looks": packed(self.n_looks, d),
            "n_silent": packed(self.n_silent, d),
            "unsure": self.unsure,
        }

    def load(self, state: dict[str, Any]) -> None:
        d = self.n_channels
        unpack(block(state, "usual", d), self.usual, d)
        unpack(block(state, "mean", d), self.mean, d)
        unpack(block(state, "n_looks", d), self.n_looks, d)
        unpack(block(state, "n_silent", d), self.n_silent, d)
        self.unsure = real(state["unsure"], "unsure", 0.0)
