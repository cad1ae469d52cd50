"""Tails of chi-square distributions, in closed form: squared distances beyond which points lie.

scipy.special has them too, but takes longer to import than numpy and all of this package.
"""

from __future__ import annotations

import math
from functools import lru_cache

NOTHING = 1e-18
"""Terms below this share of their sum are left out."""
FAR = 600.0
"""Half a value beyond which erfc is close to underflow."""


def log_tail(x: float, df: int) -> float:
    """Log of the probability beyond x > 0, for a whole number of degrees of freedom.

    With h = x / 2 it is the sum of exp(-h) h^a / Gamma(a + 1) over a = 0, 1, ... below df / 2 if df
    is even, over a = 1/2, 3/2, ... if it is odd, with erfc(sqrt(h)) before them [1]_. O(df), far
    out less: terms are added from the largest on, until they are nothing beside it.

    References
    ----------
    .. [1] Abramowitz, M. & Stegun, I. A. (1964). Handbook of Mathematical Functions, 26.4.4-5.
    """
    h, half, n = x / 2.0, 0.5 * (df % 2), df // 2
    logs = [_log_erfc(h)] if df % 2 else []
    if n:
        top = min(int(h), n - 1)
        total = term = 1.0
        for i in range(top, 0, -1):
            term *= (i + half) / h
            total += term
            if term < NOTHING * total:
                break
        term = 1.0
        for i in range(top + 1, n):
            term *= h / (i + half)
            total += term
            if term < NOTHING * total:
                break
        largest = (top + half) * math.log(h) - h - math.lgamma(top + half + 1.0)
        logs.append(largest + math.log(total))
    most = max(logs)
    return most + math.log(sum(math.exp(value - most) for value in logs))


def _log_erfc(h: float) -> float:
    """Of sqrt(h); far out by its asymptotic series."""
    if h < FAR:
        return math.log(math.erfc(math.sqrt(h)))
    series = math.log1p((-0.5 + (0.75 + (-1.875 + 6.5625 / h) / h) / h) / h)
    return -h - 0.5 * math.log(math.pi * h) + series


def tail(x: float, df: int) -> float:
    """The probability beyond x. O(df)."""
    return math.exp(log_tail(x, df)) if x > 0.0 else 1.0


@lru_cache(maxsize=64)
def limits(probability: float, most: int) -> tuple[float, ...]:
    """The values beyond which this much of the probability lies, for 1, ..., ``most`` degrees.

    By Newton's method on the log of the tail, which has no inflection; each begins with the one
    before. O(most^2).

    Examples
    --------
    >>> from online_gmm.chi_square import limits
    >>> [round(value, 4) for value in limits(0.05, 3)]
    [3.8415, 5.9915, 7.8147]
    """
    target = math.log(probability)
    found: list[float] = []
    x = 1.0
    for df in range(1, most + 1):
        step = math.inf
        # rounding ends the descent of the steps
        while True:
            log_sf = log_tail(x, df)
            log_density = (df / 2 - 1.0) * math.log(x / 2) - x / 2 - math.lgamma(df / 2)
            change = (log_sf - target) * 2.0 * math.exp(log_sf - log_density)
            if not abs(change) < abs(step) or abs(change) <= 1e-16 * x:
                break
            step = change
            x = max(x + change, x / 16.0)
        found.append(x)
    return tuple(found)
