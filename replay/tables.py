"""Summaries and comparisons as tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from online_gmm import GaussianMixture
from replay.check import Comparison
from replay.summary import Summary


def regimes_table(summary: Summary, mixture: GaussianMixture) -> Table:
    """One column per regime, so that there is room for many features."""
    labels = range(mixture.n_components)
    table = Table(title="Regimes", title_justify="left")
    table.add_column("regime")
    for label in labels:
        table.add_column(str(label), justify="right")

    def line(name: str, cells: Sequence[str]) -> None:
        table.add_row(name, *cells)

    line("rows", [f"{summary.n_labelled(k):,}" for k in labels])
    line("share of rows", [f"{summary.n_labelled(k) / summary.n_rows:.1%}" for k in labels])
    line("weight learnt", [f"{weight:.1%}" for weight in mixture.weights])
    line("segments", [f"{summary.n_segments(k):,}" for k in labels])
    line("median length, rows", [_length(summary.median_length(k)) for k in labels])
    line("longest, rows", [f"{summary.longest(k):,}" for k in labels])
    table.add_section()
    for j, feature in enumerate(mixture.features):
        cells = [
            mean_and_sd(mixture.means[k, j], math.sqrt(mixture.covariances[k, j, j]))
            for k in labels
        ]
        line(f"{feature}, mean ± sd", cells)
    return table


def totals(summary: Summary) -> str:
    segments = sum(summary.n_segments(label) for label in range(len(summary.lengths)))
    return (
        f"{summary.n_rows:,} rows, {segments:,} segments, {summary.n_outliers:,} outliers, "
        f"{summary.n_missing:,} missing values"
    )


def comparison_table() -> Table:
    """The head of the table that `comparison_row` fills."""
    table = Table(title="The learner against batch EM on the same rows", title_justify="left")
    for name in (
        "rows",
        "pass",
        "likelihood gap\nnats a row",
        "parameter error\nrelative",
        "label agreement\nadjusted Rand",
        "batch EM\nsteps",
    ):
        table.add_column(name, justify="right")
    return table


def comparison_row(comparison: Comparison) -> tuple[str, ...]:
    return (
        f"{comparison.rows:,}",
        str(comparison.passes),
        f"{comparison.gap:.2e}",
        f"{comparison.error:.2e}",
        f"{comparison.agreement:.4f}",
        f"{comparison.batch.n_iter}{'' if comparison.batch.converged else ', moving'}",
    )


def mean_and_sd(mean: float, sd: float) -> str:
    """Both to the second significant digit of the standard deviation."""
    if not 1e-6 <= sd < 1e6 or abs(mean) >= 1e9:
        return f"{mean:.6g} ± {sd:.2g}"
    digits = max(1 - math.floor(math.log10(sd)), 0)
    rounded = round(float(mean), digits) + 0.0  # no minus before a zero
    return f"{rounded:,.{digits}f} ± {sd:,.{digits}f}"


def _length(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.1f}".removesuffix(".0")
