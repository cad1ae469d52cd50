"""The warm start: batch EM on the first points, in slices as the next points come."""

from __future__ import annotations

import abc
import math
from array import array
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import columns_of, flat
from online_gmm.em.mixture import MixtureParameters, posterior, without_prior
from online_gmm.em.persistence import SHARE, time_constant
from online_gmm.em.prior import Prior
from online_gmm.em.slices import Sliced, finish
from online_gmm.em.warm_start import WarmStart
from online_gmm.learners.births import GrowingLearner
from online_gmm.learners.intake import unchanged_if_refused
from online_gmm.learners.recycle import Roster
from online_gmm.learners.under_way import Slices

VALUES = 64
"""Slices at each point: one for so many values of K means, as learning a point takes longer too."""


def lasting_of(mixture: MixtureParameters, rows: NDArray[np.float64]) -> float:
    """The time constant of regimes in rows that come one after the other."""
    return time_constant(posterior(without_prior(mixture), rows)[0])


class Begun(NamedTuple):
    """What a learner begins with.

    Parameters
    ----------
    start : WarmStart
        The fit of the first points.
    stream : object
        The kernel that has learnt them.
    outliers : array of shape (m, D)
        Those of the points that were left out.
    n : int
        How many points there were.
    lasting : float
        The time constant of regimes, in points; 0 if it is not seen.
    """

    start: WarmStart
    stream: Any
    outliers: NDArray[np.float64]
    n: int
    lasting: float


class BeginningLearner(GrowingLearner, abc.ABC):
    """A learner that fits its first points together.

    When ``warm_up`` points have come the fit begins, and each of the next points pays for a slice
    of it. These points are kept too, and learnt in their order when the fit ends.
    """

    _given: MixtureParameters | None = None
    """The mixture that `fit_start` begins with, while it does."""
    _slices: Slices[Begun] | None = None
    """The warm start that is under way. How far it is follows from the number of points kept."""

    @abc.abstractmethod
    def _starting(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> Sliced[Begun]:
        """Make the warm start in slices, from rows of shape (n, D) and their times."""

    def _limit_steps(self, lasting: float) -> None:
        """Let no regime that lasts so many points replace what is known of the others."""
        if self.step_size is None:
            self._stream.limit_steps(SHARE / max(lasting, 1.0))

    @abc.abstractmethod
    def _plan_first(self, n: int) -> None:
        """Set when the points kept are fitted again, after a warm start of n points."""

    @abc.abstractmethod
    def _wait(self) -> None:
        """Let the stream learn without a break until something is due."""

    def _keep(self, x: Mapping[Any, Any], seconds: float) -> None:
        """Keep a point for the warm start, or until that ends, and do what is due of it."""
        if len(self._buffer) + 1 < self.warm_up:
            self._add_to_kept(x, seconds)
        else:
            self._keep_and_start(x, seconds)

    @unchanged_if_refused
    def _keep_and_start(self, x: Mapping[Any, Any], seconds: float) -> None:
        self._add_to_kept(x, seconds)
        if len(self._buffer) >= self.warm_up:
            self._go_on_to_start()

    def _add_to_kept(self, x: Mapping[Any, Any], seconds: float) -> None:
        names = tuple(x.keys()) if self.features is None else tuple(self.features)
        if self.time in names:
            names = tuple(name for name in names if name != self.time)
        values = array("d", bytes(8 * len(names)))
        found = _kernel.fill(x, names, values) + (self.time in x)
        if all(map(math.isnan, values)):
            self._n_empty += 1
            if not found and len(x):
                self._warn_unknown(x.keys())
            return
        self.n_unknown += len(x) - found
        if seconds > self._last:
            self._last = seconds
        self._buffer.add(names, values)
        self._times.append(seconds)

    def _keep_many(
        self,
        names: tuple[Hashable, ...],
        values: NDArray[np.float64],
        times: NDArray[np.float64] | None,
    ) -> int:
        """Keep points together as long as no fit begins."""
        n = min(self.warm_up - 1 - len(self._buffer), len(values))
        if n <= 0:
            return 0
        wanted = names if self.features is None else tuple(self.features)
        wanted = tuple(name for name in wanted if name != self.time)
        rows = columns_of(values[:n], names, wanted)
        is_point = ~np.isnan(rows).all(axis=1)
        rows, n_points = rows[is_point], int(np.count_nonzero(is_point))
        self._n_empty += n - n_points
        self.n_unknown += n_points * len(set(names) - set(wanted))
        self._buffer.add_rows(wanted, rows)
        if times is None:
            self._times.extend([math.nan] * n_points)
        else:
            its = times[:n][is_point]
            self._times.frombytes(its.tobytes())
            self._last = float(np.fmax.reduce(its, initial=self._last))
        return n

    def _go_on_to_start(self) -> None:
        """Do the slices that the last point pays for; after the last one, learn what was kept."""
        n = self.warm_up
        if self._slices is None:
            self._slices = Slices()
        due = (len(self._buffer) - n + 1) * max(self._most * len(self._names) // VALUES, 1)
        ended, begun = self._slices.until(due, lambda: self._starting(*self._gathered(n)))
        if not ended:
            return
        assert begun is not None
        later, times = self._buffer.since(n), self._times[n:]
        self._go_on_from(begun)
        self._release_points()
        self._learn_kept(later, times)

    def _begin(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> None:
        self._go_on_from(finish(self._starting(rows, names, times)))

    def _go_on_from(self, begun: Begun) -> None:
        """Take up the warm start."""
        self._slices = None
        self._stream = begun.stream
        # those that came while it was made are learnt next
        self._last = begun.stream.last_time
        self._roster = Roster(begun.start.mixture.n_components)
        self._started_by(begun.start)
        self._plan_first(begun.n)
        self._watch()
        self._limit_steps(begun.lasting)
        self._stream.set_aside(flat(begun.outliers), len(begun.outliers))
        self._wait()

    def fit_start(
        self, X: Any = None, t: Any = None, *, mixture: MixtureParameters | None = None
    ) -> Self:
        """Fit the first points by batch EM. The stream continues from there.

        Without this call the learner does so by itself when ``warm_up`` points have come, in slices
        while the next ones come. All points learnt so far are fitted by this call, however far that
        is.

        Parameters
        ----------
        X
            Points of the past, as a frame or an array with any number of rows. They are fitted
            together with the points learnt so far, which come first. By default only the points
            learnt so far are fitted, however few they are.
        t
            Times of the rows of X, shape (n,), in seconds or as datetimes, unless X has a column
            ``time``.
        mixture
            What the fit begins with, in place of random starts; for instance the ``mixture`` of a
            `Segmenter`. It must have ``n_components`` components, unless that is ``auto``, and the
            features of the points. Component i of it becomes label i. Points should show each
            regime: of one without points little is left.

        Returns
        -------
        Learner
            This model.

        Raises
        ------
        ValueError
            If no point has a value, the model has started already, or the mixture does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import OnlineHMM, Segmenter
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(np.repeat([40.0, 0.2, 20.0, 40.0], 300), 1.0)
        >>> segmenter = Segmenter()
        >>> segmenter.learn_many(X)
        >>> mixture = segmenter.mixture
        >>> model = OnlineHMM(mixture.n_components, seed=1).fit_start(X, mixture=mixture)
        >>> [segmenter.labels[model.predict_one({0: level})] for level in (39.0, 1.0, 21.0)]
        [0, 1, 2]
        """
        if mixture is not None:
            self._check_mixture(mixture)
        self._given = mixture
        try:
            self._start_with(X, t)
        finally:
            self._given = None
        return self

    def _check_mixture(self, mixture: MixtureParameters) -> None:
        k = mixture.n_components
        if self.n_components != "auto" and k != self.n_components:
            raise ValueError(
                f"the mixture has {k} components, and n_components is {self.n_components!r}; make "
                f"the model with n_components={k}"
            )
        if k > self._most:
            raise ValueError(
                f"the mixture has {k} components, and max_components is {self._most}; raise that"
            )
        if self.order_by is not None:
            raise ValueError(
                f"order_by is {self.order_by!r}, and the components of a given mixture keep their "
                "order; leave one of them out"
            )

    def _begin_with(self, rows: NDArray[np.float64]) -> MixtureParameters | None:
        """The mixture that was given, its features in the order of the model's.

        A covariance that is not positive definite, as that of a channel that never moves, gets the
        part of the prior that the fit would give it.
        """
        given = self._given
        if given is None:
            return None
        if set(given.features) != set(self._names) or len(given.features) != len(self._names):
            raise ValueError(
                f"the mixture has the features {', '.join(map(repr, given.features))}, and the "
                f"points have {', '.join(map(repr, self._names))}"
            )
        order = [given.features.index(name) for name in self._names]
        prior = Prior.of(rows, given.n_components, self.prior_strength)
        share = self.prior_strength / len(rows)
        covariances = given.covariances[:, order][:, :, order] + share * prior.covariance
        return MixtureParameters(given.weights, given.means[:, order], covariances, self._names)
