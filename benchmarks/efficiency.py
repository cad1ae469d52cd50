"""How near one pass comes to batch EM on the same points, as tables with their targets.

python benchmarks/efficiency.py [--quick] [--only efficiency regimes ...] [--plot efficiency.png]

KL(truth, learner) / KL(truth, batch EM) is 1 for a learner as good as batch EM, which starts from
the truth here. A ratio is that of the means over seeds, followed by its standard error and, in
brackets, the worst seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import measures
from benchmarks.measures import Fit, Result, Tracking
from benchmarks.problems import PROBLEMS
from online_gmm import _kernel

DWELLS = (50, 500)
TABLES = ("efficiency", "regimes", "drift", "missing", "iris")
PUBLISHED = {
    "published: mini-batches, 10 epochs": (-1_253_118.0, 0.952),
    "published: averaged from 0": (-1_588_306.0, np.nan),
}


class Size(NamedTuple):
    """How much is run."""

    sizes: tuple[int, ...]
    seeds: int
    drift: tuple[int, int]  # points and seeds
    missing: tuple[tuple[int, int], ...]
    naive: tuple[int, int, int]  # and steps
    iris: tuple[int, int]


FULL = Size(
    (1000, 3000, 10_000, 30_000, 100_000),
    20,
    (100_000, 10),
    ((20_000, 20), (100_000, 10)),
    (1000, 2, 60),
    (10**6, 3),
)
QUICK = Size((1000, 10_000), 3, (20_000, 1), ((5000, 2),), (300, 1, 10), (50_000, 1))


class Ratio(NamedTuple):
    """A ratio of means with its standard error and the worst seed's ratio."""

    value: float
    error: float
    worst: float

    def __str__(self) -> str:
        return f"{self.value:7.3f} ±{self.error:6.3f} ({self.worst:6.2f})"


@dataclass
class Report:
    """Results, the tables made of them, and which targets they meet."""

    size: Size
    results: list[Result] = field(default_factory=list)
    trackings: list[Tracking] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    missing: list[Result] = field(default_factory=list)
    naive: list[Result] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        return max(self.size.sizes)

    def verdict(self, what: str, value: float, limit: float, at_most: bool = True) -> str:
        """The target, and whether it is met."""
        met = value <= limit if at_most else value >= limit
        sign = "<=" if at_most else ">="
        if not met:
            self.short.append(f"{what}: {value:.4g}, target {sign} {limit}")
        return f"{sign} {limit:<5} {'PASS' if met else 'short'}"

    def pick(self, learner: str, problem: str, n: int, dwell: int = 1) -> list[Result]:
        key = learner, problem, n, dwell
        return [r for r in self.results if (r.learner, r.problem, r.n, r.dwell) == key]

    # -- tables ---------------------------------------------------------------------------------

    def efficiency(self) -> None:
        """Points 1 and 10: one pass over independent points, and shards."""
        n = self.n
        title(f"1. One pass over n independent points, {self.size.seeds} seeds, warm start 200")
        limits = {"default": 1.15, "polish(X)": 1.03}
        for name, problem in PROBLEMS.items():
            truth = problem.truth
            print(
                f"\n{name}: D = {truth.n_features}, K = {truth.n_components}, Bayes accuracy "
                f"{problem.bayes_accuracy():.3f}; KL of batch EM at n = {n:,}: "
                f"{np.mean([r.reference for r in self.pick('default', name, n)]):.3g}"
            )
            print(f"{'':14}" + "".join(f"{f'n = {m:,}':>25}" for m in self.size.sizes))
            for learner in ("default", "polish()", "polish(X)", "last iterate"):
                cells = [ratio(self.pick(learner, name, m)) for m in self.size.sizes]
                line = f"{learner:14}" + "".join(f"{cell!s:>25}" for cell in cells)
                if learner in limits:
                    what = f"1. {name}, {learner}, n = {n:,}"
                    line += "  " + self.verdict(what, cells[-1].value, limits[learner])
                print(line)
            print("ARI with batch")
            for learner in ("default", "polish()", "polish(X)", "last iterate"):
                found = [agreements(self.pick(learner, name, m)) for m in self.size.sizes]
                line = f"{learner:14}" + "".join(f"{f'{a:.5f} ({b:.5f})':>25}" for a, b in found)
                if learner in limits:
                    what = f"1. {name}, {learner}, ARI"
                    line += "  " + self.verdict(what, found[-1][0], 0.998, at_most=False)
                print(line)
        self._variants()
        title(f"10. Four shards of n / 4 points, each its own warm start, merged; n = {n:,}")
        for name in PROBLEMS:
            for learner in ("merged", "merged, polish()"):
                rows = self.pick(learner, name, n)
                found = ratio(rows)
                print(
                    f"{name} {learner:18}{found}  lost {sum(r.lost for r in rows)} of {len(rows)}  "
                    + self.verdict(f"10. {name}, {learner}", found.value, 1.3)
                )

    def _variants(self) -> None:
        title(
            f"1b. What was tried for <= 1.08, n = {self.n:,} (default: exponent 0.7, capacity 1600)"
        )
        columns = [(name, after) for name in PROBLEMS for after in ("", ", polish()")]
        print(f"{'':30}" + "".join(f"{name + (after or ', as is'):>16}" for name, after in columns))
        for variant in measures.VARIANTS:
            line = f"{variant:30}"
            for name, after in columns:
                rows = self.pick(f"variant {variant}{after}", name, self.n)
                found = ratio(rows)
                line += f"{f'{found.value:.3f} ±{found.error:6.3f}' if rows else '-':>16}"
            print(line)

    def regimes(self) -> None:
        """Point 2: points that come in regimes."""
        title(f"2. Regimes that last, n = {self.n:,}, {self.size.seeds} seeds")
        print(f"{'':24}{'KL ratio':>25}{'lost':>8}{'ARI with batch':>20}")
        for name in ("A", "B"):
            for dwell in DWELLS:
                for learner in ("capacity=0", "default", "polish()", "polish(X)", "last iterate"):
                    rows = self.pick(learner, name, self.n, dwell)
                    found, lost = ratio(rows), sum(r.lost for r in rows)
                    mean, least = agreements(rows)
                    line = f"{name}, dwell {dwell:3} {learner:12}{found!s:>23}{lost:>8}"
                    line += f"{f'{mean:.4f} ({least:.4f})':>20}"
                    if learner == "default":
                        what = f"2. {name}, dwell {dwell}, default"
                        if dwell == 50:
                            line += "  ratio " + self.verdict(what, found.value, 1.3)
                        line += "  lost " + self.verdict(f"{what}, lost", lost, 0)
                    print(line)

    def drift(self) -> None:
        """Point 3: means that move."""
        n, seeds = self.size.drift
        title(
            f"3. All means of B move one sd every {measures.DRIFT:,} points; second half of {n:,}, "
            f"{seeds} seeds"
        )
        for irregular in (False, True):
            kind = [t for t in self.trackings if t.irregular == irregular]
            times = f"irregular times, {measures.BUSY} or {measures.QUIET} s apart by spells"
            print(
                f"\n{times if irregular else 'times play no part'}; "
                f"accuracy of the truth {np.mean([t.best_accuracy for t in kind]):.4f}\n"
                f"{'':26}{'RMS error of means, sd':>24}{'beside optimum':>16}{'accuracy':>12}"
            )
            learners = list(measures.IRREGULAR if irregular else measures.REGULAR)
            errors = {x: np.mean([t.error for t in kind if t.learner == x]) for x in learners}
            best = min((x for x in learners if x.startswith("Constant")), key=errors.__getitem__)
            for learner in learners:
                accuracy = np.mean([t.accuracy for t in kind if t.learner == learner])
                print(
                    f"{learner:26}{errors[learner]:>24.4f}{errors[learner] / errors[best]:>16.2f}"
                    f"{accuracy:>12.4f}" + ("  <- optimal constant step" if learner == best else "")
                )

    def values_missing(self) -> None:
        """Point 6: values missing at random."""
        share = f"{measures.MISSING:.0%} of the values of C missing at random"
        title(f"6. {share}; KL on complete points, beside batch EM on the same data")
        for n, seeds in self.size.missing:
            print(f"n = {n:,}, {seeds} seeds, beside online_gmm.em.batch")
            for learner in ("default", "polish()", "polish(X)", "last iterate"):
                found = ratio([r for r in self.missing if (r.learner, r.n) == (learner, n)])
                line = f"{learner:26}{found}"
                if learner in ("default", "polish(X)"):
                    line += "  " + self.verdict(f"6. {learner}, n = {n:,}", found.value, 1.1)
                print(line)
        n, seeds, steps = self.size.naive
        print(f"n = {n:,}, {seeds} seeds, beside {steps} steps of the naive EM in tests/naive.py")
        for learner in ("batch, as many steps", "default", "polish()", "polish(X)"):
            rows = [r for r in self.naive if r.learner == learner]
            print(f"{learner:26}{ratio(rows)}  KL {np.mean([r.divergence for r in rows]):.4f}")

    def iris(self) -> None:
        """Point 11: a published simulation."""
        n, repetitions = self.size.iris
        title(
            f"11. Nguyen, Forbes & McLachlan (2020), Iris: n = {n:,} points of three Gaussians in "
            f"4-D, {repetitions} draws here, 100 there"
        )
        heads = (f"{head:>{w}}" for head, w in (("log-likelihood", 16), ("less the truth", 16)))
        print(f"{'':38}{''.join(heads)}{'least':>12}{'ARI':>9}{'least':>9}")
        for learner, (log_likelihood, agreement) in PUBLISHED.items():
            shown = "" if np.isnan(agreement) else f"{agreement:.3f}"
            print(f"{learner:38}{log_likelihood:>16,.0f}{'':28}{shown:>9}")
        for learner in dict.fromkeys(f.learner for f in self.fits):
            fits = [f for f in self.fits if f.learner == learner]
            above = [f.log_likelihood - f.truth for f in fits]
            agreement = [f.agreement for f in fits]
            print(
                f"{learner:38}{np.mean([f.log_likelihood for f in fits]):>16,.0f}"
                f"{np.mean(above):>16,.1f}{min(above):>12,.1f}"
                f"{np.mean(agreement):>9.4f}{min(agreement):>9.4f}"
            )


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def ratio(rows: list[Result]) -> Ratio:
    """KL beside the reference's: ratio of means, its standard error (delta method), worst seed."""
    ours = np.array([r.divergence for r in rows])
    theirs = np.array([r.reference for r in rows])
    if not len(rows):
        return Ratio(np.nan, np.nan, np.nan)
    value = ours.mean() / theirs.mean()
    spread = np.std(ours - value * theirs, ddof=1) if len(rows) > 1 else np.nan
    return Ratio(
        float(value),
        float(spread / np.sqrt(len(rows)) / theirs.mean()),
        float((ours / theirs).max()),
    )


def agreements(rows: list[Result]) -> tuple[float, float]:
    """Mean and least adjusted Rand index."""
    found = [r.agreement for r in rows]
    return float(np.mean(found)), min(found)


# -- running ----------------------------------------------------------------------------------

Job = tuple[str, Callable[..., Any], tuple[Any, ...]]


def jobs(size: Size, only: Iterable[str]) -> list[Job]:
    """Where the results go, what is called, and with what; long ones first."""
    todo: list[tuple[str, Job]] = []
    for seed in range(size.naive[1]):
        job = ("naive", measures.missing, ("C", seed, size.naive[0], size.naive[2]))
        todo.append(("missing", job))
    for seed in range(size.iris[1]):
        todo.append(("iris", ("fits", measures.iris, (seed, size.iris[0]))))
    for seed in range(size.seeds):
        for name in PROBLEMS:
            arguments = (name, seed, size.sizes)
            todo.append(("efficiency", ("results", measures.efficiency, arguments)))
    for n, seeds in size.missing:
        todo += [("missing", ("missing", measures.missing, ("C", s, n, 0))) for s in range(seeds)]
    for seed in range(size.seeds):
        for name in ("A", "B"):
            for dwell in DWELLS:
                arguments = (name, seed, max(size.sizes), dwell)
                todo.append(("regimes", ("results", measures.regimes, arguments)))
    for seed in range(size.drift[1]):
        for irregular, learners in ((False, measures.REGULAR), (True, measures.IRREGULAR)):
            for learner in learners:
                arguments = (seed, size.drift[0], irregular, learner)
                todo.append(("drift", ("trackings", measures.drift, arguments)))
    return [job for table, job in todo if table in only]


def run(job: Job) -> tuple[str, list[Any]]:
    where, function, arguments = job
    found = function(*arguments)
    return where, found if isinstance(found, list) else [found]


def plot(report: Report, path: str) -> None:
    """Ratios by n, and by how long regimes last."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.8), width_ratios=(3, 2), layout="constrained"
    )
    colours = dict(zip(PROBLEMS, ("tab:blue", "tab:orange", "tab:green"), strict=True))
    for name, colour in colours.items():
        for learner, style in (("default", "o-"), ("polish(X)", "s--")):
            found = [ratio(report.pick(learner, name, n)) for n in report.size.sizes]
            left.errorbar(
                np.array(report.size.sizes) * {"A": 0.97, "B": 1.0, "C": 1.03}[name],
                [f.value for f in found],
                [f.error for f in found],
                fmt=style,
                color=colour,
                markersize=5,
                capsize=3,
                label=f"{name}, {'one pass' if learner == 'default' else 'then polish(X)'}",
            )
    for axes, limit, text in (
        (left, 1.15, "target of\none pass"),
        (left, 1.03, "target of\npolish(X)"),
        (right, 1.3, "1.3"),
    ):
        axes.axhline(limit, color="0.5", linewidth=1, linestyle=":")
        axes.annotate(
            text,
            (1.01, limit),
            xycoords=("axes fraction", "data"),
            annotation_clip=False,
            va="center",
            color="0.35",
            fontsize=8,
        )
    left.set(
        xscale="log", xlabel="points", ylabel="KL / KL of batch EM", title="Independent points"
    )
    left.legend(fontsize=8, ncols=3, loc="upper right")
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.25 * (high - low))
    bars = [(name, dwell) for name in ("A", "B") for dwell in DWELLS]
    for offset, learner, label, colour in (
        (-0.2, "capacity=0", "no refits (capacity=0)", "0.7"),
        (0.2, "default", "default", "tab:blue"),
    ):
        values = [ratio(report.pick(learner, name, report.n, dwell)).value for name, dwell in bars]
        places = np.arange(len(bars)) + offset
        drawn = right.bar(places, np.array(values) - 0.8, 0.4, 0.8, color=colour, label=label)
        right.bar_label(drawn, [f"{v:.3g}" for v in values], padding=2, fontsize=8)
    right.set_yscale("log")
    right.set_ylim(0.8, 3 * max(right.get_ylim()[1], 1.5))
    for axis in (right.yaxis, left.xaxis):
        axis.set_minor_formatter(NullFormatter())
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set_xticks(range(len(bars)), [f"{name}, {dwell}" for name, dwell in bars])
    right.set(xlabel="problem, mean dwell in points", title=f"Regimes that last, n = {report.n:,}")
    right.legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer points and seeds: a minute")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="these tables")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plot", metavar="PNG", help="save the picture there")
    arguments = parser.parse_args()
    if arguments.plot and not {"efficiency", "regimes"} <= set(arguments.only):
        parser.error("--plot shows the tables efficiency and regimes; --only leaves one out")
    size = QUICK if arguments.quick else FULL
    report = Report(size)
    before = time.perf_counter()
    todo = jobs(size, arguments.only)
    with multiprocessing.Pool(arguments.processes) as pool:
        for done, (where, found) in enumerate(pool.imap_unordered(run, todo), 1):
            getattr(report, where).extend(found)
            if sys.stderr.isatty():
                print(f"\r{done} of {len(todo)} jobs", end="", file=sys.stderr, flush=True)
    print(
        f"kernel: {'compiled' if _kernel.COMPILED else 'interpreted'}; "
        f"{time.perf_counter() - before:.0f} s on {arguments.processes} processes\n"
        "KL(truth, learner) / KL(truth, batch EM): ratio of means ± standard error (worst seed)"
    )
    if arguments.quick:
        print("the targets are those of a full run")
    tables: dict[str, Callable[[], None]] = {
        "efficiency": report.efficiency,
        "regimes": report.regimes,
        "drift": report.drift,
        "missing": report.values_missing,
        "iris": report.iris,
    }
    for name in TABLES:
        if name in arguments.only:
            tables[name]()
    title("Short of their targets")
    print("\n".join(report.short) or "none")
    if arguments.plot:
        plot(report, arguments.plot)


if __name__ == "__main__":
    main()
