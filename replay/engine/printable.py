"""Text of the input as it may be shown to a person."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what is escaped: controls, formats (among them what reverses the direction
of text), halves of surrogate pairs, separators of lines and paragraphs."""
JOINERS = "\u200c\u200d"
"""Formats that the spelling of some languages needs, and many emoji."""


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with its control characters escaped.

    A terminal obeys control characters: they move the cursor, rename the window, or write the
    clipboard. All that is printed, or shown on a page, passes through here.

    Parameters
    ----------
    text
        Any text.
    keep
        Control characters that stay as they are.

    Examples
    --------
    >>> print(printable("pump\x1b]52;c;cm0gLXJm\x07"))
    pump\x1b]52;c;cm0gLXJm\x07
    >>> print(printable("T\u00e4nk 3, 5 \u00b0C\n"))
    Tänk 3, 5 °C\n
    """
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if _is_hidden(each) and each not in keep else each
        for each in text
    )


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in HIDDEN and character not in JOINERS
