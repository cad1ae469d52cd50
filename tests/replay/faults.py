"""Faults of a disk: the calls by which the project writes files, of which one fails."""

import os
from types import SimpleNamespace

from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop, Saving
from replay.engine.series import Series, SeriesOptions
from replay.engine.settings import Settings

ENOSPC, EIO, EINTR = 28, 5, 4
CALLS = ("open", "write", "fsync", "replace", "ftruncate")
"""Calls that can fail."""
SHORT = "short"
"""A write that takes one byte only, and the disk is full from then on."""


class FaultyDisk:
    """Stands in for `os` in `replay.engine.disk`; the n-th call of a name fails.

    Parameters
    ----------
    call, n, how
        Which call fails, and how: a number of an error, or SHORT. None lets all succeed.
    for_ever
        Whether all calls of this name fail from then on.
    """

    def __init__(self, call=None, n=0, how=ENOSPC, for_ever=False):
        self.call, self.n, self.how, self.for_ever = call, n, how, for_ever
        self.counts = dict.fromkeys(CALLS, 0)
        self.failed = False

    def install(self, patched):
        def faulty(name):
            real = getattr(os, name)

            def called(*arguments):
                now = self.counts[name]
                self.counts[name] += 1
                if name == self.call and (now == self.n or (self.for_ever and now > self.n)):
                    self.failed = True
                    if self.how == SHORT and now == self.n:
                        return real(arguments[0], arguments[1][:1])
                    number = ENOSPC if self.how == SHORT else self.how
                    raise OSError(number, os.strerror(number))
                return real(*arguments)

            return called

        its = {name: getattr(os, name) for name in dir(os)}
        its |= {name: faulty(name) for name in CALLS}
        patched.setattr("replay.engine.disk.os", SimpleNamespace(**its))
        # where a checkpoint makes room for the next one
        patched.setattr("replay.engine.checkpoint.os", SimpleNamespace(**its))
        return self


def label_from_checkpoint(source, sinks, stopper, folder, every, n_rows):
    """Label what comes, from the last checkpoint on; the stopper, one of the sinks, ends it."""
    fleet = Fleet(
        lambda: Series(Settings(2, 20).model(source)),
        lambda data: Series.from_bytes(data, ("level",), SeriesOptions()),
    )
    checkpoints = Checkpoints(folder / "state")
    with checkpoints.locked():
        loop = stopper.loop = Loop(source, fleet, sinks, Saving(checkpoints, {}, rows=every))
        loop.flushing = True
        if checkpoints.exists:
            loop.resume()
            if loop.n_rows >= n_rows:
                # all are in the checkpoint: nothing comes any more
                loop.stopped_by = 15
        else:
            loop.begin()
        loop.run()
