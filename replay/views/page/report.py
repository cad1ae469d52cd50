"""The page as one file that needs neither a network nor anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bokeh.document import Document
from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.embed.elements import html_page_for_render_items
from bokeh.embed.util import RenderItem
from bokeh.resources import Resources
from bokeh.util.serialization import make_globally_unique_css_safe_id, make_globally_unique_id

from replay.checks.check import Comparison
from replay.engine.printable import printable
from replay.engine.series import Series
from replay.sinks.files import File
from replay.views.history import History
from replay.views.page.content import content_of
from replay.views.page.figures import Page
from replay.views.page.tables import keys_table
from replay.views.parameters import Parameters
from replay.views.roster import placed

MOST_BUCKETS = 12_000
"""Buckets drawn, of all keys and columns together."""
MOST_RUG = 20_000
"""Values in the rugs, of all keys together."""
MOST_SEGMENTS = 2000
"""Segments listed, of all keys together."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
"""Whatever is in the data, the page may load nothing."""


def write_report(
    path: Path,
    title: str,
    history: History,
    series: Mapping[str, Series],
    convergence: Sequence[Comparison] | None = None,
    with_costs: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Write the page; it appears under its name when it is whole.

    Parameters
    ----------
    path
        Where; ``-`` is standard output.
    title
        Of the page.
    history
        What is drawn, of all keys that it keeps.
    series
        By key, for what is learnt; of keys that are not there it is left out.
    convergence
        How far the learner was from batch EM, if that is known.
    with_costs
        Whether it shows what regimes cost.
    notes
        What was guessed, and what was left out, a line each.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    html = report_html(title, history, series, convergence, with_costs, notes)
    file = File(path, "--report", (), lasting=False)
    try:
        file.write(html.encode())
        file.finish()
    finally:
        file.close()


def report_html(
    title: str,
    history: History,
    series: Mapping[str, Series],
    convergence: Sequence[Comparison] | None = None,
    with_costs: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """The page as HTML."""
    heads = history.heads()
    share = max(len(heads), 1)
    buckets = max(MOST_BUCKETS // (share * max(len(history.values), 1)), 100)
    contents, listed = {}, []
    for head in heads:
        its = series.get(head.key)
        parameters = None if its is None else Parameters.of_series(its)
        listed.append(placed(head, parameters))
        segments, n_segments = history.segments(head.key)
        contents[head.key] = content_of(
            history.snapshot(head.key, buckets),
            segments[-max(MOST_SEGMENTS // share, 20) :],
            n_segments,
            parameters,
            most_sampled=max(MOST_RUG // share, 100),
        )
    page = Page(history.values, False, convergence or (), with_costs, history.clock.zone)
    page.write({"keys": keys_table(listed, history.clock, history.n_left_out)})
    if heads:
        page.show(contents[heads[0].key])
    if len(heads) > 1:
        page.choose_from(contents)
    document = Document()
    page.add_to(document, title, POLICY)
    document.template_variables["notes"] = list(map(printable, notes))
    return _embedded(document)


def _embedded(document: Document) -> str:
    """The page of a document.

    `bokeh.embed.file_html` makes the same, and goes through all models three times more: to check
    them, to find callbacks in Python, and to see which of Bokeh's scripts they need.
    """
    scripts = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
    number = make_globally_unique_id()
    roots = {root: make_globally_unique_css_safe_id() for root in document.roots}
    return html_page_for_render_items(
        bundle_for_objs_and_resources(None, scripts),
        {number: document.to_json(deferred=False)},
        [RenderItem(number, roots=roots)],
        document.title,
        document.template,
        document.template_variables,
    )
