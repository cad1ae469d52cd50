"""What learners of online EM have in common: their start, step sizes, gates, labels and answers."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Hashable, Mapping
from functools import lru_cache
from numbers import Integral
from operator import methodcaller
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import html, state
from online_gmm.data.counted import counted, must_be_real, must_be_whole
from online_gmm.data.frames import Table, flat, view
from online_gmm.em.how_many import Criterion
from online_gmm.em.mixture import (
    COVARIANCE_TYPES,
    CovarianceType,
    MixtureParameters,
    posterior,
    without_prior,
)
from online_gmm.em.prior import STRONGEST
from online_gmm.em.step_size import Constant, HalfLife, PowerDecay, StepSize
from online_gmm.em.warm_start import WarmStart, start_from_state
from online_gmm.learners.base import NOTHING_KNOWN, UNKNOWN, Assignment, Assignments, Learner
from online_gmm.learners.intake import NO_TIME, Time
from online_gmm.learners.places import mixture_changed
from online_gmm.learners.recycle import (
    ComponentEvent,
    Roster,
    roster_from_state,
)
from online_gmm.learners.under_way import UnderWay

MOST_COMPONENTS = 10_000
"""Components at most: what is made of that size must fit into memory."""
MOST_POINTS = 2**40
"""Points at most, of what grows only as they come."""
AVERAGE_EVERY = 16
"""Points between two iterates that enter the average."""
FEW = 0.1
"""Below this share outliers are left out when points are fitted together."""
HANDFUL = 3, 20
"""So many rows of a warm start are no regime by themselves, nor is one in 20 K of them."""
LOOKS = 4
"""How often the outliers of the warm start are looked for at most."""


class EMLearner(Learner, abc.ABC):
    """Gaussian components that are started by batch EM and go on by steps."""

    n_components: int | Literal["auto"]
    max_components: int
    covariance_type: CovarianceType
    step_size: StepSize | None
    average: bool | None
    prior_strength: float
    gate: float
    capacity: int
    n_init: int
    order_by: Hashable | None
    seed: int | None

    _start: bytes | None
    _roster: Roster
    _refit: UnderWay | None
    _next_slice: int
    _has_all_at_start = False
    """Whether there are K components at any time; set by estimators that promise so."""

    def _prepare(self, needs_time: bool = False) -> None:
        """Check the parameters above, and begin with nothing."""
        if self.n_components != "auto" and not (
            isinstance(self.n_components, Integral) and self.n_components >= 1
        ):
            raise ValueError(
                f"n_components is {self.n_components!r}; it must be at least 1 and whole, or 'auto'"
            )
        if self.n_components != "auto" and self.n_components > MOST_COMPONENTS:
            raise ValueError(
                f"n_components is {self.n_components!r}; it must be at most {MOST_COMPONENTS}"
            )
        for name, value, least, most in (
            ("max_components", self.max_components, 1, MOST_COMPONENTS),
            ("n_init", self.n_init, 1, MOST_POINTS),
            ("capacity", self.capacity, 0, MOST_POINTS),
        ):
            must_be_whole(name, value, least, most)
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type is {self.covariance_type!r}; "
                f"it must be one of {', '.join(COVARIANCE_TYPES)}"
            )
        must_be_real(
            "prior_strength",
            self.prior_strength,
            f"a number of pseudo-points from 0 to {STRONGEST:g}",
            lambda strength: 0.0 <= strength <= STRONGEST,
        )
        must_be_real("gate", self.gate, "a probability below 1", lambda gate: 0.0 <= gate < 1.0)
        if self.seed is not None:
            must_be_whole("seed", self.seed, 0)
        if not isinstance(self.average, bool | np.bool_ | None):
            raise ValueError(f"average is {self.average!r}; it must be True, False or None")
        if not isinstance(self.step_size, StepSize | None):
            raise TypeError(
                f"step_size is {self.step_size!r}; a PowerDecay, Constant or HalfLife is expected"
            )
        self._start = None
        self._refit = None
        needs_time |= isinstance(self.step_size, HalfLife) and self.step_size.seconds is not None
        super()._prepare(needs_time)
        # now, as numpy's first use of it would take longer than learning a point may
        import numpy.ma  # noqa: F401

    @property
    def start(self) -> WarmStart | None:
        """The start that was chosen, None before."""
        if self._start is None:
            return None
        return _start_read(self._start, self._names)

    def _started_by(self, start: WarmStart) -> None:
        # as bytes it takes a tenth of the memory, and it is seldom read
        self._start = _start_written(start)

    @property
    def _k(self) -> int:
        """The number of components there are now."""
        return len(self._roster.numbers)

    @property
    def _most(self) -> int:
        """The most components there may be."""
        return int(self.max_components if self.n_components == "auto" else self.n_components)

    def _value(self, criterion: Criterion) -> float:
        """What is compared when numbers of components are."""
        return criterion.icl if self.n_components == "auto" else criterion.bic

    @property
    def _follows(self) -> bool:
        return self.step_size is not None and self.step_size.follows

    @property
    def _keeps_points(self) -> bool:
        return self.capacity > 1 and not self._follows

    @property
    def _room(self) -> int:
        """The most points that are kept."""
        return self.capacity if self._keeps_points else 0

    @property
    def _averages(self) -> bool:
        if self.average is not None:
            return self.average
        step_size = self.step_size or PowerDecay()
        return not (step_size.follows or step_size.weighs_alike)

    @property
    def _schedule(self) -> tuple[float, float, float, float, bool, bool]:
        """The step size as `StepSchedule` expects it."""
        step_size = self.step_size or PowerDecay()
        if isinstance(step_size, PowerDecay):
            return 1.0, step_size.exponent, step_size.floor, 0.0, False, step_size.follows
        if isinstance(step_size, Constant):
            return step_size.step, 0.0, 0.0, 0.0, False, True
        assert isinstance(step_size, HalfLife)
        timed = step_size.seconds is not None
        return 0.0, 0.0, 0.0, step_size.seconds or step_size.points or 0.0, timed, True

    def _state(self) -> dict[str, Any]:
        start = self._start
        return {
            **super()._state(),
            "start": None if start is None else msgspec.Raw(start),
            "roster": self._roster.state(),
        }

    def _restore(self, its: dict[str, Any]) -> None:
        if (its["start"] is None) != (its["stream"] is None):
            raise ValueError("there is a warm start without a stream, or a stream without one")
        if its["start"] is not None:
            written = msgspec.msgpack.encode(its["start"])
            self._start, k = _start_checked(written, state.names_of(its["names"]))
            if not k <= self._most:
                raise ValueError("the warm start has more than n_components components")
            its = {**its, "stream": self._without_free_places(its)}
            k = self._components_in(its["stream"])
            # chains of version 2 of the format have all the components they began with
            self._roster = roster_from_state(its["roster"], k) if "roster" in its else Roster(k)
            self._numbered = not self._roster.is_plain
            if k > self._most:
                raise ValueError("there are more components than n_components")
        super()._restore(its)

    @staticmethod
    def _without_free_places(its: dict[str, Any]) -> dict[str, Any]:
        """Return the state of the stream without places that no component has.

        Up to version 2 of the format such places were kept.
        """
        stream: dict[str, Any] = its["stream"]
        numbers = its.get("roster", {}).get("numbers", [])
        for place in reversed(range(len(numbers))):
            if numbers[place] is None:
                stream = mixture_changed(stream, methodcaller("without", place))
        return stream

    @staticmethod
    @abc.abstractmethod
    def _components_in(its: dict[str, Any]) -> int:
        """Return the number of components in the state of a stream."""

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of the components: K, D and their kind."""
        return self._k, len(self._names), COVARIANCE_TYPES[self.covariance_type]

    def _gates(self, n_features: int) -> NDArray[np.float64]:
        """Squared distance of an outlier, by the number of features observed."""
        if self.gate > 0.0:
            return distances_beyond(self.gate, n_features)
        return np.full(n_features + 1, np.inf)

    def _outlying(
        self, distance: NDArray[np.float64], rows: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which rows lie beyond the gate, by their squared distances."""
        return beyond(self._gates(rows.shape[1]), distance, rows)

    @property
    def _looks(self) -> int:
        """How often outliers are looked for in the rows of the warm start."""
        return LOOKS if self.gate > 0.0 and not self._has_all_at_start else 0

    def _isolated(self, mixture: MixtureParameters, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of the warm start lie beyond the gate of all components but the smallest.

        A component of a handful of rows does not count: single wild readings would otherwise take
        the place of a regime. None if there are too many such rows to be outliers.
        """
        least, share = HANDFUL
        handful = max(least, len(rows) // (share * self._most))
        none, labels = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64)
        components = without_prior(mixture)
        components.predict(view(rows), len(rows), view(labels))
        sizes = np.bincount(labels, minlength=mixture.n_components)
        large = np.flatnonzero(sizes > handful)
        if not len(large):
            return none
        if len(large) < len(sizes):
            components = without_prior(mixture.reordered(large))
        isolated = self._outlying(posterior(components, rows)[2], rows)
        return isolated if isolated.mean() < FEW else none

    # -- answers about one point ----------------------------------------------------------------

    def _when(self, x: Mapping[Any, Any], t: Time | None) -> float:
        """Return the time of a point in seconds, NaN if answers do not depend on it."""
        return NO_TIME

    def _is_known(self, x: Mapping[Any, Any]) -> bool:
        """Return whether anything is known of a point; warn if all its features are unknown."""
        if self._stream is None:
            _kernel.must_be_mapping(x)
            return False
        try:
            if any(name in x for name in self._names) or set(x.keys()) <= {self.time}:
                return True
        except (AttributeError, TypeError):
            _kernel.must_be_mapping(x)
            raise
        _kernel.must_be_mapping(x)
        self._warn_unknown(x.keys())
        return False

    def _label(self, x: Mapping[Any, Any], t: Time | None) -> int:
        if not self._is_known(x):
            return UNKNOWN
        return self._number(self._stream.predict_one(x, self._names, self._when(x, t)))

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        if not self._is_known(x):
            return {}
        return self._by_label(self._stream.probabilities_one(x, self._names, self._when(x, t)))

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if not self._is_known(x):
            return math.nan
        density: float = self._stream.log_density_one(x, self._names, self._when(x, t))
        return density

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        if not self._is_known(x):
            return NOTHING_KNOWN
        place, *rest = self._stream.assign_one(x, self._names, self._when(x, t))
        return Assignment(self._number(place), *rest)

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if not self._is_known(x):
            return math.nan
        values = flat(np.empty(len(self._names)))
        _kernel.fill(x, self._names, values)
        self._when(x, t)
        return float(self._strangeness(np.frombuffer(values)[None])[0])

    # -- answers about many points --------------------------------------------------------------

    @abc.abstractmethod
    def _posterior(
        self, table: Table, flagging: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return probabilities by place (n, K), log densities, and which rows are outliers.

        The last one matters only with ``flagging``.
        """

    @abc.abstractmethod
    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squared distance of each row to the nearest component."""

    def _probabilities(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full((len(table), len(self.labels)), math.nan)
        return self._posterior(table, False)[0]

    def _labels_of(self, table: Table) -> NDArray[np.int64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), UNKNOWN, dtype=np.int64)
        labels: NDArray[np.int64] = self._by_place[self._posterior(table, False)[0].argmax(axis=1)]
        return labels

    def _log_densities(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), math.nan)
        return self._posterior(table, False)[1]

    def _assignments(self, table: Table) -> Assignments:
        if self._stream is None or not self._knows(table):
            return Assignments.unknown(len(table))
        probabilities, log_density, outlier = self._posterior(table, True)
        place = probabilities.argmax(axis=1)
        return Assignments(self._by_place[place], probabilities.max(axis=1), log_density, outlier)

    def _scores(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), math.nan)
        return self._strangeness(table.select(self._names))

    def _strangeness(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 of the tail probability of each row."""
        start = self.start
        assert start is not None
        return strangeness(self._distances(rows), np.count_nonzero(~np.isnan(rows), axis=1))

    # -- labels ---------------------------------------------------------------------------------

    def _number(self, place: int) -> int:
        """Return the label of a place in the kernel."""
        return self._roster.numbers[place]

    def _by_label(self, by_place: list[float]) -> dict[int, float]:
        return dict(zip(self._roster.numbers, by_place, strict=True))

    @property
    def _by_place(self) -> NDArray[np.int64]:
        return np.array(self._roster.numbers, dtype=np.int64)

    @property
    def labels(self) -> tuple[int, ...]:
        if self._stream is None:
            return ()
        return self._roster.numbers

    @property
    def events(self) -> tuple[ComponentEvent, ...]:
        names = self._label_names
        return tuple(
            dataclasses.replace(event, name=names.get(event.number)) if names else event
            for event in self._roster.events
        )

    def _has_been(self, label: int) -> bool:
        return label in self.labels or any(e.number == label for e in self._roster.events)

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        if self._stream is None:
            return {}
        return {
            label: dict(zip(self._names, mean, strict=True))
            for label, mean in zip(self.labels, self.mixture.means.tolist(), strict=True)
        }

    def _repr_html_(self) -> str:
        said = counted(self.n_points, "points")
        if self._stream is None:
            return html.page(html.call_of(self), [f"{said}, not started"])
        mixture = self.mixture
        shares = zip(self.labels, mixture.weights.tolist(), mixture.covariances, strict=True)
        rows = [
            [
                label,
                *([self.names.get(label, "")] if self.names else []),
                html.Share(weight, html.colour_of(label)),
                *self._html_cells(i),
                *html.channel_cells(
                    mixture.features,
                    self.centers[label],
                    dict(zip(mixture.features, np.sqrt(np.diagonal(covariance)), strict=True)),
                ),
            ]
            for i, (label, weight, covariance) in enumerate(shares)
        ]
        heads = ["label", *(["name"] if self.names else []), "weight", *self._html_heads]
        whole = html.table([*heads, *html.channel_heads(mixture.features)], rows)
        return html.page(html.call_of(self), [said], whole)

    _html_heads: ClassVar[tuple[str, ...]] = ()
    """Columns that a learner adds to its table in a notebook."""

    def _html_cells(self, place: int) -> list[str]:
        """Return the cells of these columns for the component in this place."""
        return []


def strangeness(
    distance: NDArray[np.float64], n_observed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return -log10 of the probability that a chi-squared variable exceeds each distance."""
    result = np.empty(len(distance))
    _kernel.strangeness(np.ascontiguousarray(distance), n_observed, result)
    return result


def _start_written(start: WarmStart) -> bytes:
    return msgspec.msgpack.encode(start.state())


@lru_cache(256)
def _start_checked(data: bytes, names: tuple[Hashable, ...]) -> tuple[bytes, int]:
    """The bytes of a warm start as they are written today, and K; many models begin alike."""
    start = start_from_state(msgspec.msgpack.decode(data), names)
    return _start_written(start), start.mixture.n_components


@lru_cache(16)
def _start_read(data: bytes, names: tuple[Hashable, ...]) -> WarmStart:
    """A warm start from its bytes; while the points kept are fitted it is asked for often."""
    return start_from_state(msgspec.msgpack.decode(data), names)


@lru_cache(64)
def distances_beyond(probability: float, n_features: int) -> NDArray[np.float64]:
    """Squared distances beyond which so few points lie, by the number of features observed."""
    gates = [_kernel.exceeded(probability, degrees) for degrees in range(1, n_features + 1)]
    result = np.array([np.inf, *gates])
    result.setflags(write=False)
    return result


def beyond(
    gates: NDArray[np.float64], distance: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which rows lie beyond the gate of as many features as they have."""
    missing = np.isnan(rows)
    n_observed = np.count_nonzero(~missing, axis=1) if missing.any() else rows.shape[1]
    result: NDArray[np.bool_] = distance > gates[n_observed]
    return result
