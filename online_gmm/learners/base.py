"""The contract of every learner: the methods that a caller finds whichever learner it has.

Rows of a ``_many`` method follow each other: each is answered as the ``_one`` method would answer
it if the rows before it had come, with the parameters as they are. In a mixture a point does not
depend on those before it, so there each row is answered by itself.

An answer never changes the state. Before the warm start is complete nothing is known: labels are
`UNKNOWN`, probabilities and densities NaN, and there are no labels to have a probability.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.frames import Table, view
from online_gmm.em.mixture import MixtureParameters
from online_gmm.learners.intake import Intake, Time, unchanged_if_refused

UNKNOWN = -1
"""The label of a point of which nothing is known (yet)."""


class Assignment(NamedTuple):
    """What a model says of a point.

    Parameters
    ----------
    label
        The most probable component, -1 if nothing is known.
    probability
        The probability of that component, from 0 to 1; NaN if nothing is known.
    log_density
        The log density of the point under the model, in nats; NaN if nothing is known.
    outlier
        Whether the point lies beyond the gate of every component.
    """

    label: int
    probability: float
    log_density: float
    outlier: bool


class Assignments(NamedTuple):
    """What a model says of n points, as arrays of shape (n,).

    Parameters
    ----------
    labels
        The most probable component of each point, -1 if nothing is known; whole numbers.
    probabilities
        The probability of that component, from 0 to 1; NaN if nothing is known.
    log_densities
        The log density of each point under the model, in nats; NaN if nothing is known.
    outliers
        Whether each point lies beyond the gate of every component; booleans.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    log_densities: NDArray[np.float64]
    outliers: NDArray[np.bool_]

    @classmethod
    def unknown(cls, n: int) -> Assignments:
        """Return the answers for n points of which nothing is known."""
        return cls(
            np.full(n, UNKNOWN, dtype=np.int64),
            np.full(n, math.nan),
            np.full(n, math.nan),
            np.zeros(n, dtype=bool),
        )

    def one(self, i: int) -> Assignment:
        """Return the answer for point i."""
        return Assignment(*(column[i].item() for column in self))


NOTHING_KNOWN = Assignment(UNKNOWN, math.nan, math.nan, False)


class Learner(Intake, abc.ABC):
    """What every learner answers."""

    finds_regimes: bool = False
    """Whether the learner itself tells where regimes change; its labels are those of segments."""
    recycle: bool = False
    """Whether components are retired, merged and born while the learner streams."""
    lag: int = 0
    """How many later points a learner can take into account; see `OnlineHMM.smoothed`."""

    # -- one point ------------------------------------------------------------------------------

    @abc.abstractmethod
    def _label(self, x: Mapping[Any, Any], t: Time | None) -> int:
        """Answer `predict_one` where the kernel does not do so by itself."""

    @abc.abstractmethod
    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        """Return the probability of each label for a point; they sum to 1.

        Empty if nothing is known.

        Parameters
        ----------
        x
            The point: feature names and values. A missing feature is marginalised out.
        t
            The time of the point, in seconds or as a datetime, if the model needs times and x has
            no key ``time``.
        """

    @abc.abstractmethod
    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return the log density of a point under the model, in nats; NaN if nothing is known.

        If features are missing it is the density of those observed. Parameters as in
        `predict_proba_one`.
        """

    @abc.abstractmethod
    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        """Return label, probability, log density and outlier flag of a point, from one E-step.

        Parameters as in `predict_proba_one`.
        """

    @abc.abstractmethod
    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return how strange a point is: the higher, the stranger.

        The score is -log10(p), where p is the tail probability of the point: the fraction of points
        of its nearest component that lie farther from the mean (Mahalanobis distance). A score
        of 3 means one point in a thousand. The point is an outlier if the score is above
        -log10(``gate``). NaN if nothing is known. Parameters as in `predict_proba_one`.
        """

    # -- many points ----------------------------------------------------------------------------

    @abc.abstractmethod
    def _probabilities(self, table: Table) -> NDArray[np.float64]:
        """Return the probability of each label for each row, shape (n, len(labels))."""

    @abc.abstractmethod
    def _assignments(self, table: Table) -> Assignments:
        """Return what `assign_one` says of rows that follow each other."""

    def _labels_of(self, table: Table) -> NDArray[np.int64]:
        return self._assignments(table).labels

    def _log_densities(self, table: Table) -> NDArray[np.float64]:
        return self._assignments(table).log_densities

    @abc.abstractmethod
    def _scores(self, table: Table) -> NDArray[np.float64]:
        """Return what `score_one` says of rows that follow each other."""

    def predict_many(self, X: Any, t: Any = None) -> Any:
        """Return the labels of rows, as `predict_one`.

        Parameters
        ----------
        X
            Rows: a data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D).
        t
            Times of the rows, shape (n,), in seconds or as datetimes, if the model needs times and
            X has no column ``time``.

        Returns
        -------
        series or numpy.ndarray
            A series of the kind that goes with the frame, or an array of shape (n,).
        """
        table = self._table(X, t)
        return table.series(self._labels_of(table), "label")

    def predict_proba_many(self, X: Any, t: Any = None) -> Any:
        """Return the probability of each label for rows, as `predict_proba_one`.

        Parameters as in `predict_many`.

        Returns
        -------
        frame or numpy.ndarray
            A frame like X with a column for each of ``labels``, or an array of shape (n, K).
        """
        table = self._table(X, t)
        return table.frame(dict(zip(self.labels, self._probabilities(table).T, strict=True)))

    def log_density_many(self, X: Any, t: Any = None) -> Any:
        """Return the log densities of rows, in nats, as `log_density_one`.

        Parameters and what is returned as in `predict_many`.
        """
        table = self._table(X, t)
        return table.series(self._log_densities(table), "log_density")

    def score_many(self, X: Any, t: Any = None) -> Any:
        """Return how strange rows are, as `score_one`.

        Parameters and what is returned as in `predict_many`.
        """
        table = self._table(X, t)
        return table.series(self._scores(table), "score")

    def assign_many(self, X: Any, t: Any = None) -> Any:
        """Return label, probability, log density and outlier flag of rows, as `assign_one`.

        Parameters as in `predict_many`.

        Returns
        -------
        frame or Assignments
            A frame like X with the columns ``label``, ``probability``, ``log_density`` and
            ``outlier``. If X is an array: `Assignments`, four arrays of shape (n,).
        """
        table = self._table(X, t)
        answers = self._assignments(table)
        if table.is_array:
            return answers
        return table.frame(dict(zip(Assignment._fields, answers, strict=True)))

    def decode_many(self, X: Any, t: Any = None) -> Any:
        """Return the most probable sequence of labels for the rows of a whole series.

        The series stands by itself; it does not follow what was learnt last. In a mixture points do
        not depend on each other: there this is `predict_many`. Parameters and what is returned as
        in `predict_many`.
        """
        return self.predict_many(X, t)

    def smooth_many(self, X: Any, t: Any = None) -> Any:
        """Return the probability of each label at the rows of a whole series, given all of them.

        The series stands by itself; it does not follow what was learnt last. In a mixture points do
        not depend on each other: there this is `predict_proba_many`. Parameters and what is
        returned as in `predict_proba_many`.
        """
        return self.predict_proba_many(X, t)

    @unchanged_if_refused
    def label_then_learn_many(self, X: Any, t: Any = None) -> Assignments:
        """Label each row, learn it, and go on to the next: `assign_one`, then `learn_one`.

        The answer for a row depends only on the rows before it and on itself (Dawid 1984 calls this
        prequential). Afterwards the model is as after `learn_many`. Rows of the warm start are
        labelled -1. Late rows are labelled even if they are skipped.

        Parameters
        ----------
        X
            Rows: a data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D).
        t
            Times of the rows, shape (n,), in seconds or as datetimes, unless X has a column
            ``time``.

        Returns
        -------
        Assignments
            Labels, probabilities, log densities (nats) and outlier flags: four arrays of shape
            (n,).

        Raises
        ------
        TypeError, ValueError
            As in `learn_many`. No row is learnt then.

        Notes
        -----
        Cost per row: that of `assign_one` and `learn_one` without their overhead.

        References
        ----------
        Dawid, A. P. (1984). Statistical theory: the prequential approach. Journal of the Royal
        Statistical Society A 147(2), 278-292.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import OnlineGMM
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(rng.choice([0.0, 9.0], size=1000), 1.0)
        >>> model, ahead = OnlineGMM(2, warm_up=100, seed=1), OnlineGMM(2, warm_up=100, seed=1)
        >>> answers = model.label_then_learn_many(X)
        >>> for x in X[:999]:
        ...     ahead.learn_one({0: x})
        >>> answers.one(999) == ahead.assign_one({0: X[999]}), model.n_points
        (True, 1000)
        >>> answers.labels[:3]
        array([-1, -1, -1])
        """
        table = self._table(X, t)
        known = self._knows(table)
        keep = self._in_time(table)
        n, done = len(table), 0
        answers = Assignments.unknown(n)
        while self._stream is None and done < n:
            if keep is not None and not keep[done]:
                done += 1
                continue
            some = slice(done, n if keep is None else done + 1)
            its = None if table.times is None else table.times[some]
            done += self._keep_next(table.names, table.values[some], its)
        if done == n:
            return answers
        rows = table.select(self._names)
        learnt = n - done if keep is None else int(np.count_nonzero(keep[done:]))
        self._pass_over_columns(table, learnt)
        late = [] if keep is None else (np.flatnonzero(~keep[done:]) + done).tolist()
        values, times = view(rows), None if table.times is None else view(table.times)
        for i in [*late, n]:
            self._label_then_learn(values, done, i, times, answers)
            if i < n:
                x = dict(zip(self._names, rows[i].tolist(), strict=True))
                late_one = self.assign_one(
                    x, None if table.times is None else float(table.times[i])
                )
                for column, value in zip(answers, late_one, strict=True):
                    column[i] = value
            done = i + 1
        return answers if known else Assignments.unknown(n)

    def _label_then_learn(
        self,
        rows: memoryview,
        done: int,
        end: int,
        times: memoryview | None,
        answers: Assignments,
    ) -> None:
        """Label and learn rows from ``done`` on, none of which is skipped."""
        columns = [view(column) for column in answers[:3]]
        columns.append(view(answers.outliers.view(np.uint8)))
        while done < end:
            stop = self._stream.label_and_learn(rows, done, end, times, *columns)
            if self._numbered:
                answers.labels[done:stop] = self._by_place[answers.labels[done:stop]]
            done = stop
            if self._stream.is_due:
                self._attend()

    # -- what has been learnt -------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def labels(self) -> tuple[int, ...]:
        """The labels there are, in the order of the mixture's components; none before the start."""

    @property
    @abc.abstractmethod
    def _by_place(self) -> NDArray[np.int64]:
        """The label of each place in the kernel."""

    @property
    @abc.abstractmethod
    def events(self) -> tuple[Any, ...]:
        """What has happened to components so far: born, retired, merged."""

    def rename(self, label: int, name: str | None) -> None:
        """Give a label a name, such as "idle"; None takes the name away.

        The name stays with the label through refits, in the bytes of the model, and when models are
        merged. It is in `names`, and in the events of components.

        Raises
        ------
        ValueError
            If there has never been such a label, or the name is empty.
        """
        if not self._has_been(label):
            known = ", ".join(map(str, self.labels)) or "none yet"
            raise ValueError(f"there is no label {label!r}; the labels are {known}")
        if name is not None and not (isinstance(name, str) and name.strip()):
            raise ValueError(f"the name of label {label} is {name!r}; text is expected")
        names = {its: old for its, old in self._label_names.items() if its != label}
        self._label_names = names if name is None else {**names, int(label): name}

    def _has_been(self, label: int) -> bool:
        """Return whether there is or was such a label."""
        return label in self.labels

    @property
    def names(self) -> dict[int, str]:
        """The names of labels, of those that have one."""
        return dict(sorted(self._label_names.items()))

    @property
    @abc.abstractmethod
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The means by label and feature, as river's Silhouette reads them."""

    @property
    @abc.abstractmethod
    def mixture(self) -> MixtureParameters:
        """The components as a mixture, in the order of ``labels``.

        Raises
        ------
        ValueError
            Before anything is known.
        """

    @property
    def transition(self) -> NDArray[np.float64] | None:
        """The transition matrix; None if points do not depend on each other."""
        return None

    @property
    def dwell(self) -> NDArray[np.float64] | None:
        """The mean dwell of each regime, shape (K,); None if points do not depend on each other."""
        return None

    def reset_state(self) -> None:
        """Declare an interruption: the next point does not follow the last one.

        What has been learnt stays. A learner for which points do not depend on each other has
        nothing to forget.
        """
