"""How fast what is new replaces what is known: the step size gamma_t."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PowerDecay:
    """gamma_t = (t + t0)^-exponent, with t0 the number of warm-start points.

    The warm start counts as points already learnt, so the first steps do not wipe it out (Cappe &
    Moulines 2009, section 3; Liang & Klein 2009). Every exponent in (0.5, 1] converges; averaging
    makes those below 1 statistically efficient.

    Parameters
    ----------
    exponent
        In (0.5, 1]; 1 weighs every point alike.

    Examples
    --------
    >>> from online_gmm import PowerDecay
    >>> round(PowerDecay(0.65)(1, 200), 5)
    0.03184
    """

    exponent: float = 0.65

    def __post_init__(self) -> None:
        if not 0.5 < self.exponent <= 1.0:
            raise ValueError(
                f"exponent is {self.exponent!r}; it must be above 0.5 (or steps do not settle) "
                "and at most 1 (or they die out too soon)"
            )

    def __call__(self, t: int, t0: int) -> float:
        """The step size of the t-th point after a warm start of t0 points."""
        return math.pow(t + t0, -self.exponent)
