"""Windows and gaps that are given as times: how many points or seconds they are."""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.data import clock

LEAST_WINDOW = 4
"""Points of the shortest window."""
MOST_WINDOW = 10_000_000
"""Points of the longest window that is made of a time."""


def seconds_of_window(window: Any) -> float | None:
    """Return the seconds of a window that is a time; None if it is a number of points, or None."""
    if isinstance(window, clock.DURATION):
        return clock.duration(window, "window")
    is_number = isinstance(window, Integral) and not isinstance(window, bool)
    if window is not None and not (is_number and window >= LEAST_WINDOW):
        raise ValueError(
            f"window is {window!r}; it must be a number of points, at least {LEAST_WINDOW}, or a "
            "time such as '30s' or a timedelta"
        )
    return None


def must_be_points(window: Any) -> None:
    """Refuse a window that is neither None nor a number of points: there are no times."""
    if isinstance(window, clock.DURATION):
        raise ValueError(
            f"window is {window!r}; here it must be a number of points, at least {LEAST_WINDOW}, "
            "or None: times are not read (online_gmm.Segmenter reads them)"
        )


def points_if_number(window: Any) -> int | None:
    """Return the points of a window that is a number of them; None if it is a time, or None."""
    return None if window is None or isinstance(window, clock.DURATION) else int(window)


def seconds_of_gap(max_gap: Any) -> Any:
    """Return the seconds of a gap that is a number of them or a time; None for None."""
    if isinstance(max_gap, clock.DURATION):
        return clock.duration(max_gap, "max_gap")
    if max_gap is None or (isinstance(max_gap, Real) and 0.0 < float(max_gap) < math.inf):
        return max_gap
    raise ValueError(
        f"max_gap is {max_gap!r}; it must be a positive number of seconds, or a time such as '30s' "
        "or a timedelta"
    )


def points_of_window(
    window: Any, seconds: float, times: NDArray[np.float64], n_first: int, max_gap: float | None
) -> int:
    """Return how many points a window has that is a time.

    The usual interval is the mean of those between the first points, without gaps and without the
    longest one, which may be a gap that nobody has named.

    Parameters
    ----------
    window, seconds
        The window as it was given, and its seconds.
    times
        Of the points, in seconds, shape (n,).
    n_first
        How many of them are looked at. If there are fewer, the stream has ended early.
    max_gap
        Seconds above which an interval is a gap; None if nobody has said.
    """
    times = times[:n_first]
    between = np.diff(times)
    between = np.sort(between[between > 0.0])
    if max_gap is not None:
        between = between[between <= max_gap]
    if not len(between) and len(times) < n_first:
        # an early end: too few points for any window
        return LEAST_WINDOW
    if not len(between):
        raise ValueError(
            f"window is {window!r}, and the first {len(times)} points do not tell how many points "
            "that is: no two in a row have times that differ"
            f"{' by at most max_gap' if max_gap is not None else ''}. Give the window as a number "
            "of points, or more points to start from"
        )
    interval = float(np.mean(between[:-1] if len(between) > 2 else between))
    points = round(min(seconds / interval, MOST_WINDOW))
    if points < LEAST_WINDOW:
        warnings.warn(
            f"window is {window!r}, and the first points come every {interval:.6g} s; it is made "
            f"{LEAST_WINDOW} points, the shortest window",
            UserWarning,
            stacklevel=6,
        )
    return max(points, LEAST_WINDOW)


def told_if_all_are_gaps(times: NDArray[np.float64], max_gap: float) -> None:
    """Warn if no two of the points belong together."""
    between = float(np.min(np.diff(times)))
    if between > max_gap:
        warnings.warn(
            f"max_gap is {max_gap:.6g} s, and the first points come every {between:.6g} s: each is "
            "a segment of its own, and no regime is found",
            UserWarning,
            stacklevel=6,
        )
