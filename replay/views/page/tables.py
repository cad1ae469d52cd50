"""The tables of the page, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

from online_gmm.data.counted import counted
from online_gmm.data.html import COLOURS
from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.segments import Segment
from replay.engine.costs import Cost
from replay.engine.durations import duration
from replay.engine.printable import printable
from replay.sources.times import Clock
from replay.views.cards import mean_and_sd
from replay.views.costs import NOT_KNOWN, cells, heads
from replay.views.log import Head
from replay.views.parameters import Parameters


def html_of(text: str) -> str:
    """A text of the input as HTML."""
    return html.escape(printable(text))


def time_of(text: str, clock: Clock) -> str:
    """A time of the input as HTML, with the date in the zone of the clock."""
    return html_of(clock.shown(text))


def chip(label: int, names: Mapping[int, str]) -> str:
    """A regime, with its colour, and its name if it has one."""
    colour = COLOURS[label % len(COLOURS)]
    name = f" {html_of(names[label])}" if label in names else ""
    return f'<span class="chip"><i style="background:{colour}"></i>{label}{name}</span>'


def head_of(head: Head, clock: Clock, rows: int, called: Mapping[int, str], said: str = "") -> str:
    since = time_of(head.since_time, clock) or f"row {head.since:,}"
    facts = {
        "regime": chip(head.label, called),
        f"since{f' (row {head.since:,})' if head.since_time else ''}": since,
        "probability": _share(head.probability),
        "rows": f"{head.n:,}",
        "changes": f"{head.n_changes:,}",
        "outliers": f"{head.n_outliers:,}",
    }
    if head.n_missing is not None:
        facts["missing values"] = f"{head.n_missing:,}"
    name = f"<h3>{html_of(head.key)}</h3>" if head.key else ""
    cells = "".join(f"<div><dt>{what}</dt><dd>{how}</dd></div>" for what, how in facts.items())
    note = ""
    if rows > 1:
        note = f"<p>of every {rows:,} rows the least and the greatest value are drawn</p>"
    note += f"<p>{said}</p>" if said else ""
    return f"{name}<dl>{cells}</dl>{note}"


def keys_table(heads: Sequence[Head], clock: Clock, n_left_out: int = 0) -> str:
    """How each key stands, the one with the last row first; nothing if there is one only."""
    if len(heads) < 2:
        return "" if heads else "<p>no row has come yet</p>"
    lines = (
        (
            html_of(head.key),
            chip(head.label, head.names),
            time_of(head.since_time, clock) or f"row {head.since:,}",
            _share(head.probability),
            f"{head.n:,}",
        )
        for head in heads
    )
    note = f"not shown: {counted(n_left_out, 'rows')} of further keys" if n_left_out else ""
    names = ("series", "regime", "since", "probability", "rows")
    return table_of(names, lines, note, "scroll tall")


def parameters_table(
    head: Head,
    columns: Sequence[str],
    parameters: Parameters | None,
    called: Mapping[int, str],
) -> str:
    if parameters is None:
        return "<p>nothing is learnt yet: the rows of the warm-up are still coming</p>"
    if parameters.cards:
        return cards_table(columns, parameters.cards, called)
    stays = parameters.stays
    timed = parameters.timed
    names = ["regime", "rows", "weight"]
    if stays is not None:
        names.append("mean stay" if timed else "mean stay, rows")
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines: list[list[str]] = []
    for k, label in enumerate(parameters.labels):
        line = [
            chip(label, called),
            f"{head.counts.get(label, 0):,}",
            f"{parameters.weights[k]:.1%}",
        ]
        if stays is not None:
            line.append(duration(stays[k]) if timed else f"{stays[k]:,.1f}")
        line += [
            mean_and_sd(mean, sd)
            for mean, sd in zip(parameters.means[k], parameters.sds[k], strict=True)
        ]
        lines.append(line)
    gone = sorted(set(head.counts) - set(parameters.labels))
    note = ""
    if gone:
        its = ", ".join(f"{label} ({counted(head.counts[label], 'rows')})" for label in gone[-20:])
        note = f"gone: {'..., ' if len(gone) > 20 else ''}{its}"
    return table_of(names, lines, note)


def cards_table(
    columns: Sequence[str], cards: Sequence[RegimeCard], called: Mapping[int, str]
) -> str:
    """A line for each regime that was found."""
    names = ["regime", "rows", "share of rows", "visits", "typical stay, rows"]
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines = (
        [
            chip(card.label, called),
            f"{card.n:,}",
            f"{card.share:.1%}",
            f"{card.visits:,}",
            "-" if math.isnan(card.typical_stay) else f"{card.typical_stay:,.0f}",
            *(_mean_and_sd(card.mean.get(column), card.sd.get(column)) for column in columns),
        ]
        for card in cards
    )
    return table_of(names, lines)


def costs_table(parameters: Parameters | None, called: Mapping[int, str]) -> str:
    """Hours, starts and integrals of each regime, and below by day, the newest first."""
    if parameters is None or (spent := parameters.costs) is None:
        return "<p>nothing is known yet</p>"
    names = [html_of(name) for name in heads(spent.channels, spent.timed)]

    def line(cost: Cost) -> list[str]:
        regime = NOT_KNOWN if cost.label < 0 else chip(cost.label, called)
        return [regime, *cells(cost, spent.timed)]

    note = "; ".join(map(html_of, spent.remarks))
    text = table_of(["regime", *names], map(line, spent.total), note)
    if spent.days:
        lines = ([day, *line(cost)] for day, costs in reversed(spent.days) for cost in costs)
        text += table_of(["day", "regime", *names], lines, "the newest first", "scroll tall")
    return text


def changes_table(parameters: Parameters | None, clock: Clock, called: Mapping[int, str]) -> str:
    """A line for each change between regimes that were found, the newest first."""
    if parameters is None or not parameters.cards:
        return "<p>changes and their reasons are those of regimes that are found</p>"
    if not parameters.changes:
        return "<p>the regime did not change</p>"
    lines = (
        [
            time_of(change.at[1], clock) or f"row {change.at[0]:,}",
            " to ".join(
                chip(label, called)
                + (f" (now {parameters.merged[label]})" if label in parameters.merged else "")
                for label in (change.before, change.after)
            ),
            html_of("; ".join(f"{its} ({its.share:.0%})" for its in change.why)),
        ]
        for change in reversed(parameters.changes)
    )
    return table_of(["since", "regime", "why"], lines, "the newest first", "scroll tall")


def segments_table(
    columns: Sequence[str],
    segments: Sequence[Segment],
    n: int,
    clock: Clock,
    called: Mapping[int, str],
) -> str:
    if not segments:
        return "<p>no segment has ended yet</p>"
    names = ["regime", "start", "end", "rows", "probability"]
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines = (
        [
            chip(segment.label, called),
            *(time_of(time, clock) or f"row {row:,}" for row, time in (segment.start, segment.end)),
            f"{segment.n:,}",
            _share(segment.probability),
            *(_mean_and_sd(segment.mean.get(column), segment.sd.get(column)) for column in columns),
        ]
        for segment in reversed(segments)
    )
    note = f"the last {len(segments):,} of {n:,}, the newest first" if len(segments) < n else ""
    return table_of(names, lines, note or "the newest first", "scroll tall")


def _mean_and_sd(mean: float | None, sd: float | None) -> str:
    if mean is None or sd is None or math.isnan(mean):
        return "-"
    return mean_and_sd(mean, sd)


def _share(probability: float) -> str:
    return "-" if math.isnan(probability) else f"{probability:.1%}"


def table_of(
    names: Sequence[str], lines: Iterable[Sequence[str]], note: str = "", kind: str = "scroll"
) -> str:
    """A table of cells that are HTML."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines
    )
    below = f"<p>{note}</p>" if note else ""
    return (
        f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div>{below}"
    )
