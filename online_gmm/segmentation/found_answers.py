"""What is known of regimes that are found in a stream; nothing here learns."""

from __future__ import annotations

import abc
import math
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat
from online_gmm.em.mixture import MixtureParameters, posterior, without_prior
from online_gmm.learners.base import NOTHING_KNOWN, UNKNOWN, Assignment, Assignments, Learner
from online_gmm.learners.em_learner import beyond, distances_beyond, strangeness
from online_gmm.learners.intake import Time
from online_gmm.segmentation.lagged import Lagged, LaggedLabel, LaggedLabels
from online_gmm.segmentation.placed import PlacedSegments
from online_gmm.segmentation.regimes import Regime, RegimeCard
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment

GATE = 1e-12
"""Tail probability beyond which a point is an outlier."""


class FoundAnswers(Learner, abc.ABC):
    """Answers from the segments of a stream: regimes, labels, probabilities, densities."""

    finds_regimes = True

    lag: int
    _n_window: int | None
    _placed: PlacedSegments | None
    _densities: _kernel.Components | None
    _lagged: Lagged
    _n_dropped: int

    @property
    def n_points(self) -> int:
        """Points learnt."""
        placed = self._placed
        return len(self._buffer) if placed is None else placed.rows.end

    @property
    def window_(self) -> int | None:
        """Points of the window that gives the answers now; None before one does."""
        if self._stream is None:
            return self._n_window
        return self._stream.answering_window or self._n_window

    @property
    def n_changes(self) -> int:
        """Changes of regime that were reported."""
        return 0 if self._placed is None else self._placed.n_changes

    @property
    def is_started(self) -> bool:
        """Whether the channels are known."""
        return self._stream is not None

    @property
    def regimes(self) -> dict[int, RegimeCard]:
        """A card for each regime, by its number."""
        return {} if self._placed is None else self._placed.cards()

    @property
    def channels(self) -> tuple[Hashable, ...]:
        """The names of the channels; none before they are known."""
        return self._names

    def all_regimes(self) -> dict[int, Regime]:
        """Return the statistics of each regime, the segment going on included. O(K D^2)."""
        return {} if self._placed is None else self._placed.all_regimes()

    @property
    def current(self) -> Segment | None:
        """The segment that is going on, and its regime; None before the first 16 points. O(D^2)."""
        return None if self._placed is None else self._placed.current

    def _is_known(self, table: Table) -> bool:
        """Whether anything can be said of rows; warns if all their features are unknown."""
        return self._placed_label != UNKNOWN and self._knows(table)

    @property
    def _placed_label(self) -> int:
        return UNKNOWN if self._placed is None else self._placed.label

    def _label(self, x: Mapping[Any, Any], t: Time | None = None) -> int:
        return self._placed_label

    # there is no stream to ask first
    predict_one = _label

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            return {}
        return placed.probabilities

    def _row(self, x: Mapping[Any, Any]) -> NDArray[np.float64]:
        values = flat(np.empty(len(self._names)))
        _kernel.fill(x, self._names, values)
        return np.frombuffer(values)[None]

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        if self._placed_label == UNKNOWN:
            _kernel.must_be_mapping(x)
            return NOTHING_KNOWN
        return self._assignments_of(self._row(x)).one(0)

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        return self.assign_one(x, t).log_density

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if self._placed_label == UNKNOWN:
            return math.nan
        return float(self._strangeness(self._row(x))[0])

    def _assignments(self, table: Table) -> Assignments:
        if not self._is_known(table):
            return Assignments.unknown(len(table))
        return self._assignments_of(table.select(self._names))

    def _assignments_of(self, rows: NDArray[np.float64]) -> Assignments:
        """What is known of rows: the regime that is going on, and how well the mixture has them."""
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            return Assignments.unknown(len(rows))
        _, log_density, distance = posterior(self._components, rows)
        outlier = beyond(_gates(rows.shape[1]), distance, rows)
        n, label = len(rows), placed.label
        sure = placed.probabilities[label]
        return Assignments(np.full(n, label), np.full(n, sure), log_density, outlier)

    def _probabilities(self, table: Table) -> NDArray[np.float64]:
        known = self.predict_proba_one({})
        row = [known.get(label, 0.0) for label in self.labels]
        return np.tile(np.array(row), (len(table), 1))

    def _scores(self, table: Table) -> NDArray[np.float64]:
        if not self._is_known(table):
            return np.full(len(table), math.nan)
        return self._strangeness(table.select(self._names))

    def _strangeness(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = posterior(self._components, rows)[2]
        return strangeness(distance, np.count_nonzero(~np.isnan(rows), axis=1))

    @property
    def _components(self) -> _kernel.Components:
        """The mixture as the kernel has it."""
        if self._densities is None:
            self._densities = without_prior(self.mixture)
        return self._densities

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def mixture(self) -> MixtureParameters:
        """The regimes as components of a Gaussian mixture, in the order of ``labels``.

        Weights are shares of time. Means and covariances are those of all rows of each regime.
        """
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            raise ValueError("no regime is known yet, so there is no mixture")
        return placed.mixture()

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of the regimes that are known."""
        return () if self._placed is None else self._placed.labels

    @property
    def _by_place(self) -> NDArray[np.int64]:
        return np.array(self.labels, dtype=np.int64)

    @property
    def events(self) -> tuple[RegimeChange | RegimeEvent, ...]:
        """The last events, at most 1,000: changes of regime, regimes born and merged."""
        return () if self._placed is None else tuple(self._placed.events)

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The mean of every channel, by regime."""
        if self._placed is None:
            return {}
        return {label: card.mean for label, card in self._placed.cards().items()}

    # -- labels of a lag ------------------------------------------------------------------------

    @property
    def _going_on(self) -> tuple[int, float]:
        """The regime of the segment that is going on, and the probability of that."""
        placed = self._placed
        return (UNKNOWN, math.nan) if placed is None else (placed.label, placed.probability)

    @property
    def new_labels(self) -> LaggedLabels:
        if not self.lag:
            raise ValueError("lag is 0, so there are no labels of later; set lag=...")
        return self._lagged.labels

    def look_back(self, lag: int | None = None) -> LaggedLabel | None:
        """Return the regime of the point ``lag`` points ago as it is known now, and how certain.

        Parameters
        ----------
        lag
            How many points to go back, from 0 to the segmenter's ``lag``, which is the default.

        Returns
        -------
        LaggedLabel or None
            The label, -1 if it is not known, and its probability; None if fewer points have come
            since the start or the last interruption.

        Raises
        ------
        ValueError
            If ``lag`` is larger than the segmenter's.
        """
        lag = self.lag if lag is None else lag
        if not 0 <= lag <= self.lag:
            raise ValueError(f"lag is {lag!r}; this segmenter looks back 0 to {self.lag} points")
        number = self.n_points + self._n_dropped - 1 - lag
        if number < self._lagged.n_interrupted:
            return None
        return self._lagged.at(number, *self._going_on)


@cache
def _gates(n_channels: int) -> NDArray[np.float64]:
    """The squared distances beyond which a point is an outlier, by how many values it has."""
    return distances_beyond(GATE, n_channels)
