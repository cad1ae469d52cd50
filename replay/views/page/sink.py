"""The sink that feeds the page, and what is learnt of the keys that somebody looks at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from replay.engine.batch import LabelledBatch
from replay.engine.protocols import MemorySink
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.sources.times_shown import TimesShown
from replay.views.history import History
from replay.views.parameters import Parameters
from replay.views.roster import Standing


class Watcher(MemorySink):
    """Puts rows and segments into a history, which it takes to a checkpoint and back.

    Parameters
    ----------
    history
        Where to.
    series
        Gives the series of a key, for what is learnt; called by `flush`, between two rows.
    with_costs
        Whether the page shows what regimes cost.
    known
        Gives all keys that a checkpoint knows, and their series.
    times
        Reads the times of rows that have none in seconds; None if nobody does.
    """

    def __init__(
        self,
        history: History,
        series: Callable[[str], Series] | None = None,
        with_costs: bool = False,
        known: Callable[[], Iterable[tuple[str, Series]]] = tuple,
        times: TimesShown | None = None,
    ) -> None:
        self.history = history
        self.series = series
        self.with_costs = with_costs
        self.times = times
        self._all_keys = known
        self._wanted: set[str] = set()
        self._known: dict[str, Parameters | None] = {}
        self._lock = threading.Lock()

    def write(self, labelled: LabelledBatch) -> None:
        if self.times is not None:
            labelled = self.times.shown(labelled)
        self.history.add_batch(labelled)
        self.history.add_ended(labelled)

    @property
    def said(self) -> list[str]:
        """How times are shown, a line each; nothing where that goes without saying."""
        return [] if self.times is None else self.times.said

    def flush(self) -> None:
        """Look up what is learnt of the keys that were asked for."""
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        if self.series is None:
            return
        for key in wanted:
            series, known = self.series(key), self._known.get(key)
            if known is None or known.n_points != series.model.n_points:
                self._known[key] = Parameters.of_series(series)

    def parameters(self, key: str) -> Parameters | None:
        """What was learnt of a key at the last `flush` after it was asked for; any thread may ask.

        None if that is yet to come, or the learner has not started.
        """
        with self._lock:
            self._wanted.add(key)
        return self._known.get(key)

    def position(self) -> Any:
        return self.history.state()

    def go_to(self, position: Any) -> None:
        """Be as at a checkpoint.

        Raises
        ------
        InputError
            If that was made without a page, or of other columns.
        """
        if position is None:
            raise InputError(
                "the checkpoint was made without --report or --serve; go on without them too, or "
                "start afresh without --resume"
            )
        try:
            self.history.load(position)
        except ValueError as error:
            raise InputError(str(error)) from None
        if self.times is not None:
            self.times.go_on(self.history.timed, self.history.last_x)
        for key, series in self._all_keys():
            self.history.roster.put(Standing.of(key, series))
