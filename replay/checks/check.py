"""Learning by streams and in passes against batch EM: same rows, same start, same prior."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import ComponentEvent, MixtureParameters, OnlineGMM
from online_gmm.data.counted import counted
from online_gmm.em import incremental
from online_gmm.em.batch import BatchEM, BatchFit, fit
from online_gmm.em.how_many import select
from online_gmm.em.mixture import densities_of, labels_of
from online_gmm.em.prior import Prior
from online_gmm.em.warm_start import WarmStart, warm_start
from replay.checks.agreement import adjusted_rand
from replay.engine.batch import Batch
from replay.engine.progress import Progress, watched
from replay.engine.protocols import Source
from replay.engine.rows import InputError
from replay.engine.settings import Settings

Matrix = NDArray[np.float64]

CHUNK = 1024
"""Rows accumulated together in an exact pass."""
MOST_PASSES = 10_000
"""Exact passes after which the parameters are taken to move for ever."""
SAMPLE = 4000
"""Rows, evenly spaced, that a start which owes nothing to the stream is made from."""
AT_REST = 1e-10
"""Relative distance to the fixed point at which batch EM is taken for it."""
ROUNDING = 1e-12
"""A fall of the free energy that is no more than this, relatively, is one of the last digits."""


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
        The largest relative difference of the parameters, components matched; NaN if the learner
        has fewer.
    agreement
        Adjusted Rand index of the two labellings of those rows.
    batch
        The batch fit.
    polished
        Whether the last pass was one of polishing.
    events
        What has happened to the learner's components.
    """

    rows: int
    passes: int
    gap: float
    error: float
    agreement: float
    batch: BatchFit
    polished: bool = False
    events: tuple[ComponentEvent, ...] = ()


@dataclass(frozen=True, eq=False)
class IncrementalComparison:
    """Incremental EM and batch EM, pass by pass from the same start.

    Parameters
    ----------
    free_energy
        Of incremental EM: at the start, where it is the penalised log-likelihood, and after each
        pass. Mean per row, in nats.
    batch
        Batch EM at its fixed point.
    rest
        Batch EM at the fixed point that it comes to from where incremental EM ended.
    error
        The largest relative difference between the parameters of these two.
    """

    free_energy: tuple[float, ...]
    batch: BatchFit
    rest: BatchFit
    error: float

    @property
    def n_passes(self) -> int:
        return len(self.free_energy) - 1

    def gap(self, passes: int) -> float:
        """How far incremental EM is below the fixed point of batch EM after so many passes."""
        return self.batch.penalised[-1] - self.free_energy[passes]

    def batch_gap(self, passes: int) -> float:
        """How far batch EM still is below its fixed point after so many passes."""
        return self.batch.penalised[-1] - self.batch.penalised[min(passes, self.batch.n_iter)]

    def worst_fall(self, passes: int) -> tuple[float, int]:
        """By how much the free energy fell in a pass at most, beyond rounding; and in which."""
        worst = (0.0, 0)
        for done in range(1, passes + 1):
            before, after = self.free_energy[done - 1 : done + 1]
            if before - after > ROUNDING * max(abs(before), 1.0):
                worst = max(worst, (before - after, done))
        return worst


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


def compare(
    online: MixtureParameters,
    batch: BatchFit,
    X: Matrix,
    passes: int,
    events: tuple[ComponentEvent, ...] = (),
    polished: bool = False,
) -> Comparison:
    """Two mixtures on the rows that batch EM was fitted to. O(n K D^2)."""
    error = math.nan
    if online.n_components == batch.mixture.n_components:
        online = online.matched_to(batch.mixture)
        error = online.error(batch.mixture)
    gap = densities_of(batch.mixture, X).mean() - densities_of(online, X).mean()
    return Comparison(
        len(X) * max(passes, 1),
        passes,
        float(gap),
        error,
        adjusted_rand(labels_of(batch.mixture, X), labels_of(online, X)),
        batch,
        polished,
        events,
    )


def converge(
    source: Source, settings: Settings, passes: int, progress: Progress, polish: bool = False
) -> Iterator[Comparison]:
    """Replay the rows and compare at the end of the warm-up, at 1, 2, 5, 10, ... and at the end.

    Then, for each further pass over the rows, once more; and at last, if wanted, polished with one
    more. Holds all values in memory, for batch EM.
    """
    model = settings.learner(source.values)
    values = array("d")
    snapshots: list[tuple[int, MixtureParameters, tuple[ComponentEvent, ...]]] = []
    n = mark = 0
    for came in watched(progress, source, "streaming"):
        for row in came.values.tolist():
            model.learn_one(dict(zip(source.values, row, strict=True)))
            if not has_value(row):
                continue
            values.extend(row)
            n += 1
            if model.is_started and n >= mark:
                snapshots.append((n, model.mixture, model.events))
                mark = next_mark(n)
    if not model.is_started:
        start_with_what_came(model, source)
    if not snapshots or snapshots[-1][0] != n:
        snapshots.append((n, model.mixture, model.events))
    assert model.start is not None
    X = np.frombuffer(values).reshape(n, len(source.values))
    starts = [model.start.mixture]
    for rows, mixture, events in snapshots:
        if rows == n:
            starts.append(afresh(X, settings, source.values))
        batch = best_fit(X[:rows], starts, model.start.prior, settings.covariance_type)
        # the fit to fewer rows is in the basin of the start, and nearer
        starts = [batch.mixture]
        yield compare(mixture, batch, X[:rows], 1, events)
    for again in range(2, passes + 1):
        for values_of_row in X.tolist():
            model.learn_one(dict(zip(source.values, values_of_row, strict=True)))
        yield compare(model.mixture, batch, X, again, model.events)
    if polish:
        model.polish(X)
        yield compare(model.mixture, batch, X, passes + 1, model.events, polished=True)


def best_fit(
    X: Matrix, starts: Iterable[MixtureParameters], prior: Prior, covariance: str
) -> BatchFit:
    """The most likely of the fits from several starts, under the prior."""
    fits = [fit(X, start, prior, covariance) for start in starts]
    return max(fits, key=lambda found: found.penalised[-1])


def afresh(X: Matrix, settings: Settings, features: tuple[str, ...]) -> MixtureParameters:
    """A start that owes nothing to the stream, so that both cannot fail alike.

    It has as many components as the rows can tell, at most as many as the settings have.
    """
    rows = X[~np.isnan(X).all(axis=1)]
    rows = rows[:: math.ceil(len(rows) / SAMPLE)]
    options: dict[str, Any] = {"covariance_type": settings.covariance_type, "seed": settings.seed}
    if settings.regimes == "auto":
        return warm_start(rows, "auto", features, **options).mixture
    return select(rows, settings.regimes, features, **options)[0]


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
    first, X = started(source, settings, progress)
    start, prior = first.mixture, first.prior
    batch = fit(X, start, prior, settings.covariance_type)
    em = BatchEM(start, prior, settings.covariance_type)
    mark = 1
    for done in range(1, (passes or MOST_PASSES) + 1):
        before = em.mixture
        for chunk in chunks(watched(progress, source, f"pass {done}"), len(source.values)):
            em.accumulate(chunk)
        em.maximise()
        ended = passes is None and em.mixture.error(before) <= still
        if done == mark or ended or done == (passes or MOST_PASSES):
            yield compare(em.mixture, batch, X, done)
            mark = next_mark(done)
        if ended:
            return


def in_increments(
    source: Source, settings: Settings, passes: int, progress: Progress
) -> IncrementalComparison:
    """Incremental EM over the rows in memory, for so many passes or until it stands still.

    Raises
    ------
    InputError
        If a value is missing.
    """
    first, X = started(source, settings, progress, complete=True)
    start, prior = first.mixture, first.prior
    batch = fit(X, start, prior, settings.covariance_type, AT_REST)
    increments = incremental.fit(X, start, prior, settings.covariance_type, passes)
    rest = fit(X, increments.mixture, prior, settings.covariance_type, AT_REST)
    return IncrementalComparison(
        (batch.penalised[0], *increments.free_energy),
        batch,
        rest,
        rest.mixture.matched_to(batch.mixture).error(batch.mixture),
    )


def started(
    source: Source, settings: Settings, progress: Progress, complete: bool = False
) -> tuple[WarmStart, Matrix]:
    """The warm start from the learner's first rows, and the values of all rows that have one.

    With ``complete``, a missing value is an InputError.
    """
    model = settings.learner(source.values)
    values = array("d")
    for batch in watched(progress, source, "warm start"):
        if complete and (missing := np.argwhere(np.isnan(batch.values))).size:
            row, column = missing[0].tolist()
            raise InputError(
                f"{source.name}, line {batch.lines[row]}, column {source.values[column]!r}: the "
                "value is missing, and incremental EM needs all of them; fill it in or remove the "
                "row, or check with --exact, which takes it as missing"
            )
        for cells in batch.values.tolist():
            if not model.is_started:
                model.learn_one(dict(zip(source.values, cells, strict=True)))
            if has_value(cells):
                values.extend(cells)
    if not model.is_started:
        start_with_what_came(model, source)
    assert model.start is not None
    X = np.frombuffer(values).reshape(-1, len(source.values))
    # passes over rows that are all there: the number of regimes is taken as it is given
    start = warm_start(
        X[: model.start.n_points],
        settings.regimes,
        source.values,
        settings.covariance_type,
        settings.prior_strength,
        seed=settings.seed,
    )
    return start, X


def start_with_what_came(model: OnlineGMM, source: Source) -> None:
    """The warm start of a series shorter than its warm-up."""
    if not model.n_points:
        raise InputError(
            f"{source.name}, column {', '.join(map(repr, source.values))}: no row has a value; at "
            "least one is needed"
        )
    model.fit_start()


def chunks(batches: Iterable[Batch], width: int) -> Iterator[Matrix]:
    """The values of the rows as matrices of up to CHUNK rows."""
    left = np.empty((0, width))
    for batch in batches:
        left = np.concatenate((left, batch.values))
        while len(left) >= CHUNK:
            yield left[:CHUNK]
            left = left[CHUNK:]
    if len(left):
        yield left


def has_value(row: list[float]) -> bool:
    return not all(map(math.isnan, row))


def next_mark(n: int) -> int:
    """The first number after n of 1, 2, 5, 10, 20, 50, ..."""
    decade: int = 10 ** (len(str(n)) - 1)
    return next(m * decade for m in (1, 2, 5, 10) if m * decade > n)


def marks(last: int) -> Iterator[int]:
    """1, 2, 5, 10, ... and the last."""
    mark = 1
    while mark < last:
        yield mark
        mark = next_mark(mark)
    yield last


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
        verdicts.append(not_at_rest(last.batch))
    return verdicts


def judge_increments(
    comparison: IncrementalComparison, max_gap: float, max_error: float
) -> list[Verdict]:
    """Whether incremental EM came to batch EM's fixed point, without falling, and to no other."""
    n = comparison.n_passes
    gap = comparison.gap(n)
    worst, fell_in = comparison.worst_fall(n)
    apart = comparison.rest.penalised[-1] - comparison.batch.penalised[-1]
    same = comparison.error < max_error and abs(apart) <= max_gap
    if abs(gap) <= max_gap:
        reached = next(p for p in range(n + 1) if abs(comparison.gap(p)) <= max_gap)
        steps = comparison.batch.n_iter
        batch_reached = next(p for p in range(steps + 1) if comparison.batch_gap(p) <= max_gap)
        text = (
            f"within {max_gap:g} nats a row of batch EM's fixed point after "
            f"{counted(reached, 'passes')}; batch EM after {counted(batch_reached, 'passes')}"
        )
    else:
        text = (
            f"{abs(gap):.2g} nats a row {'below' if gap > 0.0 else 'above'} batch EM's fixed point "
            f"after {counted(n, 'passes')} ({max_gap:g} allowed)"
        )
        if same:
            text += "; more --passes bring it closer"
    verdicts = [
        Verdict(abs(gap) <= max_gap, f"free energy: {text}"),
        Verdict(
            worst == 0.0,
            f"monotone: the free energy never fell in {counted(n, 'passes')}"
            if worst == 0.0
            else f"monotone: the free energy fell by {worst:.2g} nats a row in pass {fell_in}",
        ),
        Verdict(
            same,
            f"optimum: the same; where batch EM rests from there on, parameters differ by "
            f"{comparison.error:.2g} relatively (less than {max_error:g} wanted)"
            if same
            else f"optimum: another one than batch EM's; where batch EM rests from there on is "
            f"{abs(apart):.2g} nats a row {'better' if apart > 0.0 else 'worse'}, and parameters "
            f"differ by {comparison.error:.2g} relatively (less than {max_error:g} wanted)",
        ),
    ]
    restless = (fitted for fitted in (comparison.batch, comparison.rest) if not fitted.converged)
    return [*verdicts, *map(not_at_rest, restless)]


def not_at_rest(batch: BatchFit) -> Verdict:
    return Verdict(
        False,
        f"batch EM itself has not come to rest in {counted(batch.n_iter, 'steps')}, "
        "so the comparison means little; fewer regimes or a stronger prior help",
    )
