"""One model for all keys: learnt from the rows of all, in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import OnlineGMM
from online_gmm.learners.base import Assignment, Assignments
from online_gmm.learners.succession import Succession
from replay.engine.batch import Batch
from replay.engine.held import HeldBatch
from replay.engine.protocols import Source
from replay.engine.rows import InputError
from replay.engine.series import Series, by_what_is_known, joined, packed_rows, unpacked_rows
from replay.engine.settings import Settings


class Answered(NamedTuple):
    """Rows of several keys, their answers, and before which of them their key has a gap."""

    batch: Batch
    answers: Assignments
    is_reset: NDArray[np.bool_]


class SharedModel:
    """Labels the rows of all keys by one mixture, and learns them.

    Rows of the warm-up, of whatever key, are held until it is complete. If regimes persist, each
    key has a belief of its own, which is in its series, and the transitions are learnt from all.

    Parameters
    ----------
    model
        The mixture.
    succession
        How regimes follow each other; None if each row stands by itself.
    """

    def __init__(self, model: OnlineGMM, succession: Succession | None = None) -> None:
        self.model = model
        self.succession = succession
        self._held = HeldBatch(model)

    def label(
        self, batch: Batch, is_reset: NDArray[np.bool_], series: Callable[[str], Series]
    ) -> Iterator[Answered]:
        """Label each row and then learn it.

        Parameters
        ----------
        batch
            The rows.
        is_reset
            Before which of them their key has a gap, at which it begins anew; shape (n,).
        series
            Gives the series of a key.
        """
        n, done = len(batch), 0
        while done < n and not self.model.is_started:
            n_learnt, is_ready = self._held.learn(batch.part(done, n), None)
            done += n_learnt
            if is_ready:
                yield self._released(series)
        if done == n:
            return
        rest = batch.part(done, n)
        if self.succession is None:
            answers = self.model.label_then_learn_many(rest.values)
        else:
            answers = self._by_belief(rest, is_reset[done:], self.succession, series)
        yield Answered(rest, answers, is_reset[done:])

    def finish(self, series: Callable[[str], Series]) -> Iterator[Answered]:
        """The rows that are still held, labelled by what there is."""
        self._held.end()
        if len(self._held):
            yield self._released(series)

    def _released(self, series: Callable[[str], Series]) -> Answered:
        """The rows of the warm-up: a mixture is what they have in common, a belief is not."""
        batch = self._held.release()
        if self.succession is None or not self.model.is_started:
            answers = by_what_is_known(batch.values, None, self.model)
        else:
            answers = joined(
                [
                    self._step(batch.key_at(i), values, self.succession, series)
                    for i, values in enumerate(batch.values.tolist())
                ]
            )
        return Answered(batch, answers, np.zeros(len(batch), dtype=bool))

    def _by_belief(
        self,
        batch: Batch,
        is_reset: NDArray[np.bool_],
        succession: Succession,
        series: Callable[[str], Series],
    ) -> Assignments:
        found: list[Assignment] = []
        for i, values in enumerate(batch.values.tolist()):
            key = batch.key_at(i)
            if is_reset[i]:
                series(key).belief = None
            found.append(self._step(key, values, succession, series))
            self.model.learn_one(dict(zip(batch.names, values, strict=True)))
        return joined(found)

    def _step(
        self,
        key: str,
        values: list[float],
        succession: Succession,
        series: Callable[[str], Series],
    ) -> Assignment:
        its = series(key)
        answer, its.belief = succession.step(self.model, values, its.belief)
        return answer

    # -- state ----------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return all that is needed to continue, as bytes."""
        return msgspec.msgpack.encode(
            {
                "model": self.model.to_bytes(),
                "succession": None if self.succession is None else self.succession.state(),
                "held": packed_rows(self._held.rows),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SharedModel:
        """Read what `to_bytes` has written."""
        state: dict[str, Any] = msgspec.msgpack.decode(data)
        succession = state["succession"]
        model = OnlineGMM.from_bytes(state["model"])
        shared = cls(
            model,
            None if succession is None else Succession.of(succession),
        )
        values = [str(name) for name in model.features or ()]
        if state["held"]:
            shared._held.hold(unpacked_rows(state["held"], values))
        return shared

    def be(self, other: SharedModel) -> None:
        """Take over another model, which must not be used any more."""
        self.model, self.succession, self._held = other.model, other.succession, other._held


def shared_by_all(settings: Settings, source: Source) -> SharedModel | None:
    """Return a new model that all keys share; None if each key has its own.

    Raises
    ------
    InputError
        If rows have no key.
    """
    if not settings.shared_model:
        return None
    if source.key is None:
        raise InputError(
            "--shared-model is for rows of several keys; name their column with --key, or leave it "
            "out"
        )
    succession = Succession(settings.stickiness) if settings.persist else None
    return SharedModel(settings.learner(source.values), succession)
