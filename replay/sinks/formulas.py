"""Cells that a spreadsheet would compute, written so that it shows them as text."""

from __future__ import annotations

FIRST = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins with one of these for a formula, unless it is a number."""


def as_text(cell: object) -> object:
    """Return a cell with an apostrophe before it if a spreadsheet would take it for a formula.

    Numbers stay as they are, and so do texts that are numbers, such as ``-5``.

    Source: OWASP, "CSV injection".

    Examples
    --------
    >>> as_text('=HYPERLINK("http://a.example","pump 1")')
    '\\'=HYPERLINK("http://a.example","pump 1")'
    >>> as_text("-5.25"), as_text("pump 1"), as_text(-3)
    ('-5.25', 'pump 1', -3)
    """
    if not isinstance(cell, str) or not cell.startswith(FIRST):
        return cell
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return f"'{cell}"
    return cell
