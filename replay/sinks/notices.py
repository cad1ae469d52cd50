"""Notifications of changes of regime: what is sent of each key, and when."""

from __future__ import annotations

import datetime
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from online_gmm.data.counted import counted
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import LabelledBatch
from replay.engine.series import Series
from replay.sinks.couriers import Courier

MOST_KEYS = 100_000
"""Keys whose state is remembered; those not heard of for longest are let go, and sent anew."""
EVERY = 1.0
"""Seconds between two looks at what is due by the clock."""

Notice = dict[str, Any]
"""What is sent, as JSON; docs/streams.md describes its fields."""


@dataclass
class _State:
    """The regime of a key, and what was sent of it.

    Parameters
    ----------
    regime
        The regime; None if it is not known.
    now
        What would be sent of it.
    sent
        The regime sent last; None if that was unknown, and -1 before anything is sent.
    noticed, sent_at
        Seconds since 1970.
    """

    regime: int | None
    now: Notice
    sent: int | None
    noticed: float
    sent_at: float


NOTHING_SENT = -1
"""In the place of the regime sent last."""


class Notices:
    """Tells when the regime of a key changes, and only then; a `Sink` and a `Herald`.

    What is to be sent waits until a checkpoint that counts it is on disk. It is in the checkpoint
    until it has arrived. After a kill it is sent again: at least once, never not at all.

    Parameters
    ----------
    couriers
        Who brings it where, by the address.
    series
        Gives the series of a key.
    known
        Gives all keys that a checkpoint knows, and their series.
    seconds
        Gives a time in seconds since 1970 from its text; None if it is no such time.
    hold_off
        Seconds that a regime must have lasted, by the clock of this machine, before it is sent. One
        that is left again before is not sent.
    remind
        Seconds after which a reminder is sent that a regime still lasts; None for never.
    say
        Takes what somebody should know.
    calendar
        Gives the seconds since 1970.
    """

    def __init__(
        self,
        couriers: Mapping[str, Courier],
        series: Callable[[str], Series],
        known: Callable[[], Iterable[tuple[str, Series]]] = tuple,
        seconds: Callable[[str, str], float | None] = lambda text, key: None,
        hold_off: float = 0.0,
        remind: float | None = None,
        say: Callable[[str], object] = lambda text: None,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self.n_sent = 0
        self._couriers = couriers
        self._series = series
        self._known = known
        self._seconds = seconds
        self._hold_off = hold_off
        self._remind = remind
        self._say = say
        self._calendar = calendar
        # by the time at which they were sent last
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._held: dict[str, None] = {}
        self._before: set[str] = set()
        self._fresh: list[Notice] = []
        self._looked = 0.0

    # -- what comes -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Start with nothing sent."""

    def write(self, labelled: LabelledBatch) -> None:
        """Note the regimes that have begun."""
        if not len(labelled):
            return
        ended: dict[str, list[Segment]] = {}
        for _, key, segment, _ in labelled.ended():
            ended.setdefault(key, []).append(segment)
        keys = labelled.batch.keys
        last = {"": len(labelled) - 1} if keys is None else dict(zip(keys, range(len(keys))))  # noqa: B905
        labels, probabilities = labelled.answers.labels, labelled.answers.probabilities
        for key, i in last.items():
            state = self._states.get(key)
            is_unknown = labels[i] < 0
            if state is None and key in self._before:
                # sent before the stop, and a checkpoint knows no more than that
                state = self._went_on(key, ended.get(key, []))
            if key not in ended and (
                is_unknown if state is None else is_unknown == (state.regime is None)
            ):
                continue
            for segment in self._chain(key, state, ended.get(key, [])):
                self._enter(key, segment, segment.probability)
            if is_unknown:
                self._enter(key, None, math.nan)
            elif key in self._states and np.isfinite(probabilities[i]):
                self._states[key].now["probability"] = _rounded(float(probabilities[i]))

    def _chain(self, key: str, state: _State | None, ended: Sequence[Segment]) -> list[Segment]:
        """The segments that have begun, in order; the first of all if nothing was sent."""
        current = self._series(key).segmenter.current
        begun = [*(ended if state is None or state.regime is None else ended[1:])]
        return begun if current is None else [*begun, current]

    def _went_on(self, key: str, ended: Sequence[Segment]) -> _State | None:
        """The state of a key at the checkpoint."""
        self._before.discard(key)
        first = ended[0] if ended else self._series(key).segmenter.current
        if first is None:
            return None
        self._enter(key, first, first.probability, silently=True)
        return self._states[key]

    def _enter(
        self,
        key: str,
        segment: Segment | None,
        probability: float,
        silently: bool = False,
    ) -> None:
        """Note that a key is in another regime, or in an unknown one."""
        regime = None if segment is None or segment.label < 0 else segment.label
        state, now = self._states.get(key), self._calendar()
        if state is not None and state.regime == regime:
            return
        before = NOTHING_SENT if state is None else state.sent
        notice = self._notice(key, regime, segment, probability)
        self._states[key] = _State(regime, notice, before, now, now)
        self._states.move_to_end(key)
        self._make_room()
        if silently:
            self._states[key].sent = regime
        elif self._hold_off:
            self._held[key] = None
        else:
            self._send(key, "change")

    def _notice(
        self, key: str, regime: int | None, segment: Segment | None, probability: float
    ) -> Notice:
        row, text = (None, None) if segment is None else segment.start
        seconds = None if not text else self._seconds(text, key)
        names = self._series(key).model.names if regime is not None else {}
        return {
            "key": key,
            "regime": regime,
            "name": names.get(regime) if regime is not None else None,
            "since": text or None,
            "since_row": row,
            "since_utc": None if seconds is None else _utc(seconds),
            "probability": _rounded(probability),
            "unknown": regime is None,
        }

    def _make_room(self) -> None:
        while len(self._states) > MOST_KEYS:
            key, _ = self._states.popitem(last=False)
            self._held.pop(key, None)

    # -- what is sent ---------------------------------------------------------------------------

    def _send(self, key: str, kind: str) -> None:
        state = self._states[key]
        self.n_sent += 1
        before = None if state.sent == NOTHING_SENT else state.sent
        self._fresh.append(
            {
                "kind": kind,
                **state.now,
                "before": before if kind == "change" else None,
                "number": self.n_sent,
                "sent_at": _utc(self._calendar()),
            }
        )
        state.sent, state.sent_at = state.regime, self._calendar()
        self._states.move_to_end(key)

    def flush(self) -> None:
        """Send what is due by the clock."""
        now = self._calendar()
        if abs(now - self._looked) < EVERY:
            return
        self._looked = now
        for key in list(self._held):
            state = self._states[key]
            if now - state.noticed >= self._hold_off:
                del self._held[key]
                if state.regime != state.sent:
                    self._send(key, "change")
        if self._remind is None:
            return
        for key, state in list(self._states.items()):
            if now - state.sent_at < self._remind:
                break
            if key not in self._held and state.regime == state.sent:
                self._send(key, "still")

    @property
    def wants_saving(self) -> bool:
        """Whether something is to be sent that no checkpoint counts yet."""
        return bool(self._fresh)

    def saved(self) -> None:
        """Send what was written before: it is safe now."""
        fresh, self._fresh = self._fresh, []
        for courier in self._couriers.values():
            courier.take(fresh)

    # -- going on -------------------------------------------------------------------------------

    def position(self) -> Any:
        """Return what has not arrived, and what is held back."""
        held = [
            (key, state.regime, state.now, state.sent, state.noticed)
            for key in self._held
            for state in [self._states[key]]
        ]
        pending = {name: courier.pending() for name, courier in self._couriers.items()}
        pending = {name: [*notices, *self._fresh] for name, notices in pending.items()}
        return {"sent": self.n_sent, "held": held, "pending": pending}

    def go_to(self, position: Any) -> None:
        """Tell again what may not have arrived."""
        self.n_sent = position["sent"]
        # those of which a label was known have been sent, or are among what is pending or held
        self._before = {key for key, its in self._known() if its.summary.label not in (None, -1)}
        for key, regime, now, sent, noticed in position["held"]:
            self._states[key] = _State(regime, now, sent, noticed, noticed)
            self._held[key] = None
            self._before.discard(key)
        for name, notices in position["pending"].items():
            if name in self._couriers:
                self._couriers[name].take(notices)
            elif notices:
                self._say(
                    f"{counted(len(notices), 'notices were')} dropped that had not arrived at "
                    f"{name} when the checkpoint was made: it is no longer asked for with --notify"
                )

    def finish(self) -> None:
        """Send what is left."""
        self.saved()

    def close(self) -> None:
        """Wait a moment for what is on its way."""
        for courier in self._couriers.values():
            courier.close()


def _rounded(probability: float) -> float | None:
    return None if math.isnan(probability) else float(f"{probability:.6g}")


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
