"""How long a row of a live stream waits for its label while checkpoints are made.

Messages come at a given rate, of many keys in turn. Time is the processor time of this process, so
that the figures are the same on a busy machine; what the disk takes for `fsync` comes on top, and
is printed as a number of calls. ``--whole`` makes a whole checkpoint each time instead of adding
what has changed.

    python -m benchmarks.live_latency --keys 10000 --rate 1000 --seconds 60
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from replay.engine import loop as loops
from replay.engine.batch import Batch, LabelledBatch
from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop, Saving
from replay.engine.protocols import MemorySink
from replay.engine.rows import Row
from replay.engine.series import Series, SeriesOptions
from replay.engine.settings import Settings

IDLE = 0.1
"""Seconds after which a source without news hands on a batch without rows."""


class Clock:
    """Processor time, and what was waited for beside it."""

    def __init__(self) -> None:
        self.waited = 0.0

    def __call__(self) -> float:
        return time.process_time() + self.waited


class Messages:
    """A source whose messages come at a rate, and which wants an acknowledgement as MQTT does."""

    name, files, values, time, key, timed = "messages", (), ("x",), None, "key", False
    said: tuple[str, ...] = ()
    done, size = 0, None

    def __init__(self, clock: Clock, n_keys: int, rate: float, n: int, warm: int) -> None:
        self._clock, self._n_keys, self._rate, self._n, self._warm = clock, n_keys, rate, n, warm
        self._came = self._unacknowledged = 0
        self._begun = 0.0
        self._rng = np.random.default_rng(1)
        self.due: list[float] = []

    def next_batch(self, at_most: int) -> Batch | None:
        if self._came >= self._n:
            return None
        now = self._clock()
        if self._came < self._warm:
            n = min(at_most, self._warm - self._came)
            # a moment after all keys have come
            self._begun = now + 1.0
            due = [now] * n
        else:
            first = self._begun + (self._came - self._warm) / self._rate
            if first > now:
                # nothing is to be done until then
                self._clock.waited += min(first - now, IDLE)
                now = self._clock()
            n = min(int((now - first) * self._rate) + 1, at_most, self._n - self._came)
            due = [first + i / self._rate for i in range(n)]
        self.due += due
        rows = []
        for _ in range(n):
            self._came += 1
            x = self._rng.normal() + 8.0 * (self._came // self._n_keys // 3 % 2)
            rows.append(
                Row(self._came, "", (str(x),), {"x": x}, key=f"k{self._came % self._n_keys}")
            )
        self._unacknowledged += n
        return Batch.of_rows(rows, self.values)

    @property
    def wants_acknowledgement(self) -> bool:
        return self._unacknowledged >= 500

    def acknowledge(self) -> None:
        self._unacknowledged = 0

    @property
    def position(self) -> dict[str, Any]:
        return {"messages": self._came}

    def go_to(self, position: dict[str, Any]) -> None:
        """Nothing: it does not go on."""

    def stop(self) -> None:
        """Nothing: it ends by itself."""

    def close(self) -> None:
        """Nothing is open."""


class Labelled(MemorySink):
    """Notes when each row is labelled."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: dict[int, float] = {}
        self._written: list[int] = []

    def write(self, labelled: LabelledBatch) -> None:
        self._written += labelled.batch.lines.tolist()

    def flush(self) -> None:
        now = self._clock()
        self.at.update(dict.fromkeys(self._written, now))
        self._written.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--whole", action="store_true", help="whole checkpoints each time")
    chosen = parser.parse_args()
    clock = Clock()
    loops.time = SimpleNamespace(monotonic=clock)  # type: ignore[attr-defined]
    n = chosen.keys + round(chosen.rate * chosen.seconds)
    source: Any = Messages(clock, chosen.keys, chosen.rate, n, chosen.keys)
    options = SeriesOptions()
    fleet = Fleet(
        lambda: Series(Settings(finds=True).model(source), options),
        lambda state: Series.from_bytes(state, source.values, options),
    )
    sink = Labelled(clock)
    n_synced = 0
    fsync = os.fsync

    def counted(handle: int) -> None:
        nonlocal n_synced
        n_synced += 1
        fsync(handle)

    os.fsync = counted
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Checkpoints(Path(name) / "state")
        if chosen.whole:
            checkpoints.__class__ = type("Whole", (Checkpoints,), {"can_add": False})
        loop = Loop(source, fleet, {"labels": sink}, Saving(checkpoints, {}, 10_000, 10.0))
        loop.flushing = True
        loop.begin()
        with checkpoints.locked():
            loop.run()
    waits = [1e3 * (sink.at[i + 1] - due) for i, due in enumerate(source.due) if i >= chosen.keys]
    points = np.percentile(waits, [50, 90, 99, 99.9, 100])
    kind = "whole checkpoints" if chosen.whole else "what has changed is added"
    print(
        f"{chosen.keys:,} keys, {chosen.rate:,.0f} messages/s for {chosen.seconds:g} s, {kind}: "
        f"p50 {points[0]:.1f}, p90 {points[1]:.1f}, p99 {points[2]:.1f}, p99.9 {points[3]:.1f}, "
        f"max {points[4]:.0f} ms; {n_synced} fsyncs"
    )


if __name__ == "__main__":
    main()
