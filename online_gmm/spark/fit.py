"""Batch EM over rows that are spread over machines: statistics come back, rows do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel, TaskContext
from pyspark.sql import DataFrame, functions
from pyspark.sql.types import NumericType

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat, must_be_names
from online_gmm.em.batch import BatchEM, BatchFit, come_to_rest
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.prior import Prior
from online_gmm.em.warm_start import in_order, warm_start
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.learners.recycle import Roster
from online_gmm.spark.names import quoted

Rows = Iterable[pa.RecordBatch]


@dataclass(frozen=True, eq=False)
class MixtureFit(BatchFit):
    """The result of batch EM on rows that are spread over machines.

    Parameters
    ----------
    mixture : MixtureParameters
        The parameters at the end.
    log_likelihood : float
        The mean log-likelihood of a row, in nats, without the prior.
    penalised : tuple of float
        The mean penalised log-likelihood before each M-step and at the end.
    error : float
        The estimated relative distance of the parameters to the fixed point.
    converged : bool
        Whether ``error`` is below the tolerance.
    covariance_type : str
        ``full``, ``tied``, ``diag`` or ``spherical``.
    prior : Prior
        The prior, scaled to the data.
    n_points : int
        How many rows had a value.
    sample : array of shape (m, D)
        Rows drawn at random, NaN for missing values.
    """

    covariance_type: str
    prior: Prior
    n_points: int
    sample: NDArray[np.float64]
    _components: _kernel.Components = field(repr=False)

    def seed(self, model: OnlineGMM, points: int = 200) -> OnlineGMM:
        """A learner that begins with what has been fitted, for each key of a stream or for one.

        Parameters
        ----------
        model
            What it is to be like: a learner that has not begun. Its number of components,
            covariance type and prior must be those of the fit.
        points
            How many points the fit counts for against those that will come: the more, the slower
            the learner turns to those. So many of the sample are kept, as the learner keeps points
            of a stream.

        Returns
        -------
        OnlineGMM
            Another one; the model is unchanged.

        Raises
        ------
        ValueError
            If the model is of another kind or has begun, or the sample has fewer rows.
        """
        if model.is_started or model.n_points:
            raise ValueError("the model has begun; give one that has not, or its clone()")
        k = self.mixture.n_components
        for name, its, expected in (
            ("n_components", model.n_components, (k, "auto")),
            ("covariance_type", model.covariance_type, (self.covariance_type,)),
            ("prior_strength", model.prior_strength, (self.prior.strength,)),
            ("order_by", model.order_by, (None, *self.mixture.features)),
        ):
            if its not in expected:
                raise ValueError(f"{name} is {its!r}; the fit's is {expected[0]!r}")
        if not 1 <= points <= len(self.sample):
            raise ValueError(
                f"points is {points!r}; the sample has {len(self.sample):,} rows, so take 1 to so "
                "many, or fit with a larger sample="
            )
        params = {**model._get_params(), "features": list(self.mixture.features)}
        learner = OnlineGMM(**{**params, "n_components": k})
        learner.fit_start(self.sample[:points])
        learner._roster = Roster(k)
        order = in_order(self.mixture, model.order_by)
        mixture = self.mixture.reordered(order)
        start = learner.start
        assert start is not None
        learner._started_by(
            dataclasses.replace(
                start, mixture=mixture, prior=self.prior, log_likelihood=self.log_likelihood
            )
        )
        components = _kernel.components_from_state(self._components.state())
        components.reorder(order.tolist())
        components.count_as(float(points))
        gates = learner._gates(len(self.mixture.features))
        learner._stream.restart(components, flat(gates))
        learner._watch()
        return learner


def fit_mixture(
    df: DataFrame,
    *,
    values: Sequence[str],
    n_components: int | Literal["auto"] = 3,
    max_components: int = 8,
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    start: MixtureParameters | None = None,
    sample: int = 10_000,
    n_init: int = 12,
    order_by: Hashable | None = None,
    seed: int = 0,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> MixtureFit:
    """Fit a Gaussian mixture to all rows of a table by batch EM, wherever they are.

    For each step every partition adds up its statistics under the parameters of that step; they are
    merged here. The outcome is that of `online_gmm.em.batch.fit` on all rows in one process, but
    for rounding: it does not depend on how rows are spread.

    Parameters
    ----------
    df
        Rows; a table, no stream. It is kept in the engine's memory, or on its disks, while the fit
        lasts.
    values
        The columns of features, numbers. Null and NaN are missing values; rows without any are left
        out.
    n_components
        K, the number of components. ``"auto"`` chooses it on the sample, by penalised likelihood.
    max_components
        The largest number that ``"auto"`` tries.
    covariance_type
        The shape of covariances: ``full``, ``tied``, ``diag`` or ``spherical``.
    prior_strength
        Pseudo-points with the variance of the data that each component starts with.
    n_init
        How many EM starts are tried on the sample; half are k-means++, half random.
    order_by
        Components are numbered in the order of their means of this feature, by default of the
        first.
    start
        The parameters of the first E-step, with as many components as it has. By default EM begins
        with the warm start of a sample, see `online_gmm.em.warm_start.warm_start`.
    sample
        How many rows are drawn at random for the warm start, about; all if there are fewer.
    seed
        Makes the sample and the warm start repeatable, if the table has the same partitions.
    tol, max_iter
        EM stops when the parameters are within a relative distance ``tol`` of the fixed point, or
        after ``max_iter`` M-steps; ``converged`` says which.

    Returns
    -------
    MixtureFit

    Raises
    ------
    ValueError, TypeError
        If a column is missing or no number, no row has a value, or ``start`` has other features. A
        value that is infinite or beyond 1e150 fails the job; the message names its column.

    Notes
    -----
    Two passes over the rows, and one for each step, O(n K D^2) divided among the cores. What comes
    back of each is O(K D^2) a partition.

    Examples
    --------
    See ``docs/fleet.md``.
    """
    must_be_names("values", values)
    names = tuple(values)
    _check(df, names)
    if start is not None and start.features != names:
        raise ValueError(f"start has the features {start.features!r}, and values are {names!r}")
    # names with dots are not for the engine
    rows = df.select(
        *(functions.col(quoted(name)).cast("double").alias(f"v{j}") for j, name in enumerate(names))
    )
    rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        moments = _Moments.empty(len(names))
        for shard in _collected(rows, partial(_moments, names)):
            moments = moments.merged(msgspec.msgpack.decode(shard, type=_Moments))
        if not moments.rows:
            raise ValueError("no row has a value in any of the columns " + ", ".join(names))
        drawn = _sample(rows, moments.rows, sample, seed)
        if start is None:
            start = warm_start(
                drawn,
                n_components,
                names,
                covariance_type,
                prior_strength,
                n_init,
                order_by,
                seed,
                max_components=max_components,
            ).mixture
        scaled = Prior.of_moments(*moments.scales, start.n_components, prior_strength, drawn)
        em, other = (BatchEM(start, scaled, covariance_type) for _ in range(2))

        def accumulate() -> None:
            frozen = partial(_accumulated, names, em.statistics())
            for shard in _collected(rows, partial(frozen, start, scaled, covariance_type)):
                other.take(shard)
                em.merge(other)

        fit = come_to_rest(em, accumulate, tol, max_iter)
    finally:
        rows.unpersist()
    n_points = em.n_points
    components = em.components()
    order = in_order(fit.mixture, order_by)
    components.reorder(order.tolist())
    return MixtureFit(
        fit.mixture.reordered(order),
        fit.log_likelihood,
        fit.penalised,
        fit.error,
        fit.converged,
        covariance_type,
        scaled,
        n_points,
        drawn,
        components,
    )


def _check(df: DataFrame, names: tuple[str, ...]) -> None:
    if df.isStreaming:
        raise ValueError("this is a stream, which has no end; fit_mixture takes tables")
    for name in names:
        if name not in df.columns:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(df.columns)}")
        kind = df.schema[name].dataType
        if not isinstance(kind, NumericType):
            raise TypeError(f"column {name!r} is of type {kind.simpleString()}; cast it to double")


# -- what partitions do ---------------------------------------------------------------------------


def _collected(rows: DataFrame, work: Callable[[Rows], bytes]) -> list[bytes]:
    """What the work makes of each partition, in their order: sums must not depend on the hurry."""
    parts = rows.mapInArrow(partial(_told, work), "part int, result binary").collect()
    return [bytes(part["result"]) for part in sorted(parts, key=lambda part: int(part["part"]))]


def _told(work: Callable[[Rows], bytes], batches: Rows) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    assert context is not None
    part = pa.array([context.partitionId()], pa.int32())
    yield pa.RecordBatch.from_arrays(
        [part, pa.array([work(batches)], pa.binary())], names=["part", "result"]
    )


def _matrices(names: tuple[str, ...], batches: Rows) -> Iterator[NDArray[np.float64]]:
    for batch in batches:
        columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        yield Table(np.column_stack(columns), names).values


def _accumulated(
    names: tuple[str, ...],
    frozen: bytes,
    start: MixtureParameters,
    prior: Prior,
    covariance_type: str,
    batches: Rows,
) -> bytes:
    em = BatchEM(start, prior, covariance_type)
    em.take(frozen)
    for X in _matrices(names, batches):
        em.accumulate(X)
    return em.statistics()


class _Moments(msgspec.Struct, array_like=True):
    """Of each column: how many values, any of them, their mean, and squared deviations from it."""

    rows: int
    n: list[int]
    value: list[float]
    mean: list[float]
    deviations: list[float]

    @classmethod
    def empty(cls, d: int) -> _Moments:
        return cls(0, [0] * d, [0.0] * d, [0.0] * d, [0.0] * d)

    @classmethod
    def of(cls, X: NDArray[np.float64]) -> _Moments:
        """Against a value of its own the deviations of a constant column are 0 exactly."""
        its = cls.empty(X.shape[1])
        its.rows = int(np.count_nonzero(~np.isnan(X).all(axis=1)))
        for j, column in enumerate(X.T):
            seen = column[~np.isnan(column)]
            if len(seen):
                apart = seen - seen[0]
                its.n[j] = len(seen)
                its.value[j] = float(seen[0])
                its.mean[j] = float(seen[0] + apart.mean())
                its.deviations[j] = float(np.square(apart - apart.mean()).sum())
        return its

    def merged(self, other: _Moments) -> _Moments:
        """Those of both (Chan, Golub & LeVeque 1979)."""
        its = _Moments.empty(len(self.n))
        its.rows = self.rows + other.rows
        for j, (mine, theirs) in enumerate(zip(self.n, other.n, strict=True)):
            if not (mine and theirs):
                known = self if mine else other
                its.n[j], its.value[j] = known.n[j], known.value[j]
                its.mean[j], its.deviations[j] = known.mean[j], known.deviations[j]
                continue
            n, gap = mine + theirs, other.mean[j] - self.mean[j]
            its.n[j], its.value[j] = n, self.value[j]
            its.mean[j] = self.mean[j] + gap * (theirs / n)
            its.deviations[j] = (
                self.deviations[j] + other.deviations[j] + gap * gap * (mine * (theirs / n))
            )
        return its

    @property
    def scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Variances, and any values."""
        return np.array(self.deviations) / np.maximum(self.n, 1), np.array(self.value)


def _moments(names: tuple[str, ...], batches: Rows) -> bytes:
    moments = _Moments.empty(len(names))
    for X in _matrices(names, batches):
        moments = moments.merged(_Moments.of(X))
    return msgspec.msgpack.encode(moments)


def _sample(rows: DataFrame, n_rows: int, size: int, seed: int) -> NDArray[np.float64]:
    """About so many of the rows with a value, shape (n, D), in random order."""
    if size < 1:
        raise ValueError(f"sample is {size!r}; at least one row is needed")
    seen = rows.where(" or ".join(f"{name} is not null" for name in rows.columns))
    # a tenth more, as the engine draws each row by itself
    share = 1.1 * size / n_rows
    drawn = seen if share >= 1.0 else seen.sample(share, seed)
    table = drawn.toArrow()
    X: NDArray[np.float64] = np.column_stack([column.to_numpy() for column in table.columns])
    X = X[~np.isnan(X).all(axis=1)]
    return X[np.random.default_rng(seed).permutation(len(X))[:size]]
