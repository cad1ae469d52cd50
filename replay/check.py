"""The learner against batch EM on the same rows, from the same start, under the same prior."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_gmm import GaussianMixture
from online_gmm.batch import BatchEM, BatchFit, fit
from replay.agreement import adjusted_rand
from replay.progress import Progress
from replay.run import Settings, start_with_what_came
from replay.source import Row, Source

Matrix = NDArray[np.float64]

CHUNK = 1024
"""Rows accumulated together in an exact pass."""
MOST_PASSES = 10_000
"""Exact passes after which the parameters are taken to move for ever."""


@dataclass(frozen=True)
class Comparison:
    """The learner and batch EM after so many rows.

    Parameters
    ----------
    rows
        Rows with a value that were replayed, counted again in every pass.
    passes
        Whole passes over the file begun.
    gap
        Mean log-likelihood of batch EM less that of the learner on those rows, nats a row.
    error
        The largest relative difference of the parameters, components matched.
    agreement
        Adjusted Rand index of the two labellings of those rows.
    batch
        The batch fit.
    """

    rows: int
    passes: int
    gap: float
    error: float
    agreement: float
    batch: BatchFit


@dataclass(frozen=True)
class Tolerances:
    """What is good enough at the end: gap in nats a row, adjusted Rand, relative error or None."""

    gap: float
    agreement: float
    error: float | None


@dataclass(frozen=True)
class Verdict:
    passed: bool
    text: str


def compare(online: GaussianMixture, batch: BatchFit, X: Matrix, passes: int) -> Comparison:
    """Two mixtures on the rows that batch EM was fitted to. O(n K D^2)."""
    matched = online.matched_to(batch.mixture)
    gap = batch.mixture.score_samples(X).mean() - matched.score_samples(X).mean()
    return Comparison(
        len(X) * max(passes, 1),
        passes,
        float(gap),
        matched.error(batch.mixture),
        adjusted_rand(batch.mixture.predict(X), matched.predict(X)),
        batch,
    )


def converge(
    source: Source, settings: Settings, passes: int, progress: Progress
) -> Iterator[Comparison]:
    """Replay the rows and compare at the end of the warm-up, at 1, 2, 5, 10, ... and at the end.

    Then, for each further pass over the rows, once more. Holds all values in memory, for batch EM.
    """
    model = settings.learner(source.values)
    values = array("d")
    snapshots: list[tuple[int, GaussianMixture]] = []
    n = mark = 0
    for row in progress(source, "streaming"):
        model.learn_one(row.values)
        if not has_value(row):
            continue
        values.extend(row.values.values())
        n += 1
        if model.is_started and n >= mark:
            snapshots.append((n, model.mixture))
            mark = next_mark(n)
    if not model.is_started:
        start_with_what_came(model, source)
    if not snapshots or snapshots[-1][0] != n:
        snapshots.append((n, model.mixture))
    assert model.start is not None
    X = np.frombuffer(values).reshape(n, len(source.values))
    near = model.start.mixture
    for rows, mixture in snapshots:
        # from the fit to fewer rows: it is in the basin of the start, and nearer
        batch = fit(X[:rows], near, model.start.prior, settings.covariance)
        near = batch.mixture
        yield compare(mixture, batch, X[:rows], 1)
    for again in range(2, passes + 1):
        for values_of_row in X.tolist():
            model.learn_one(dict(zip(source.values, values_of_row, strict=True)))
        yield compare(model.mixture, batch, X, again)


def exact(
    source: Source, settings: Settings, passes: int | None, still: float, progress: Progress
) -> Iterator[Comparison]:
    """Passes of frozen parameters over the file, compared with batch EM fitted in memory.

    Parameters
    ----------
    passes
        How many; None goes on until a pass moves no parameter by more than ``still``, relatively.

    Yields
    ------
    Comparison
        After pass 1, 2, 5, 10, ... and the last one.
    """
    model = settings.learner(source.values)
    values = array("d")
    for row in progress(source, "warm start"):
        if not model.is_started:
            model.learn_one(row.values)
        if has_value(row):
            values.extend(row.values.values())
    if not model.is_started:
        start_with_what_came(model, source)
    X = np.frombuffer(values).reshape(-1, len(source.values))
    assert model.start is not None
    start, prior = model.start.mixture, model.start.prior
    batch = fit(X, start, prior, settings.covariance)
    em = BatchEM(start, prior, settings.covariance)
    mark = 1
    for done in range(1, (passes or MOST_PASSES) + 1):
        before = em.mixture
        for chunk in chunks(progress(source, f"pass {done}"), len(source.values)):
            em.accumulate(chunk)
        em.maximise()
        ended = passes is None and em.mixture.error(before) <= still
        if done == mark or ended or done == (passes or MOST_PASSES):
            yield compare(em.mixture, batch, X, done)
            mark = next_mark(done)
        if ended:
            return


def chunks(rows: Iterable[Row], width: int) -> Iterator[Matrix]:
    """The values of the rows as matrices of up to CHUNK rows."""
    values = array("d")
    for row in rows:
        values.extend(row.values.values())
        if len(values) >= CHUNK * width:
            yield np.frombuffer(values).reshape(-1, width)
            values = array("d")
    if values:
        yield np.frombuffer(values).reshape(-1, width)


def has_value(row: Row) -> bool:
    return not all(map(math.isnan, row.values.values()))


def next_mark(n: int) -> int:
    """The first number after n of 1, 2, 5, 10, 20, 50, ..."""
    decade: int = 10 ** (len(str(n)) - 1)
    return next(m * decade for m in (1, 2, 5, 10) if m * decade > n)


def judge(last: Comparison, tolerances: Tolerances) -> list[Verdict]:
    """Each tolerance in words, and whether it is kept."""
    verdicts = [
        Verdict(
            last.gap <= tolerances.gap,
            f"likelihood: {'batch EM' if last.gap >= 0.0 else 'the learner'} is better by "
            f"{abs(last.gap):.2g} nats a row (batch EM may be by {tolerances.gap:g})",
        ),
        Verdict(
            last.agreement >= tolerances.agreement,
            f"labels: the adjusted Rand index is {last.agreement:.4f} "
            f"(at least {tolerances.agreement:g} wanted)",
        ),
    ]
    if tolerances.error is not None:
        verdicts.append(
            Verdict(
                last.error < tolerances.error,
                f"parameters: the largest relative difference is {last.error:.2g} "
                f"(less than {tolerances.error:g} wanted)",
            )
        )
    if not last.batch.converged:
        verdicts.append(
            Verdict(
                False,
                f"batch EM itself has not come to rest in {last.batch.n_iter} steps, "
                "so the comparison means little; fewer regimes or a stronger prior help",
            )
        )
    return verdicts
