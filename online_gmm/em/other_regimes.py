"""Whether points show other regimes than those known.

Fits of other numbers of components are tried on some of the rows first: merged from the components
known, and from new starts. Those that promise to be better there are fitted to all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from online_gmm.em.how_many import WORTH, Criterion, Selection
from online_gmm.em.merging import one_fewer
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.slices import Meter, Sliced

SURE = 10.0
"""Nats by which a fit of other regimes must be better than the one in use."""
PROMISING = 0.5
"""Share of its gain that a fit must show on some of the rows, to be tried on all."""
SAME = 1.0
"""Nats by which a fit of as many components as are known must be better, or it is taken for the
same; fits merged from it would be those merged from the components known."""
TRIED = 3
"""The most fits that are tried on all rows."""


@dataclass(frozen=True)
class Terms:
    """What a fit of other regimes must come up to.

    Parameters
    ----------
    value : callable
        What is compared: BIC or ICL.
    price : callable
        Nats by which a fit of so many components must be better than one of none.
    least : int
        The fewest components that are tried.
    refuses : callable
        Whether a fit, of all features, is out of the question.
    """

    value: Callable[[Criterion], float]
    price: Callable[[int], float]
    least: int
    refuses: Callable[[MixtureParameters], bool]

    def gain(self, now: Criterion, other: Criterion) -> float:
        """Nats by which another fit is worth more than the one in use."""
        worth = self.value(other) - self.price(other.n_components)
        return worth - self.value(now) + WORTH * now.n_components


def other_regimes(
    selection: Selection, known: MixtureParameters, starts: int, terms: Terms, meter: Meter
) -> Sliced[MixtureParameters | None]:
    """Return a fit of other regimes, if it is surely better than the components known.

    Parameters
    ----------
    selection : Selection
        The rows.
    known : MixtureParameters
        The components known, of all features.
    starts : int
        How many new starts are tried.
    terms : Terms
        What a fit must come up to.
    meter : Meter
        Counts the work.
    """
    some = selection.thinned()
    mixture, now = yield from some.climbed(selection.part(known), meter)
    screen = _Screen(selection, some, now, terms)
    yield
    merges: list[tuple[float, MixtureParameters]] = []
    news: list[tuple[float, MixtureParameters]] = []
    if now.n_components > terms.least:
        merges = yield from _chain(some, one_fewer(mixture), screen, meter)
        yield
    if starts and some.most >= terms.least:
        needed = screen.least(some.most)
        started = yield from some.started(some.most, starts, meter, needed=needed)
        yield
        news = yield from _chain(some, started.mixture, screen, meter)
        yield
    promising = sorted(merges + news, key=lambda found: -found[0])[:TRIED]
    if not promising:
        return None
    mixture, now = yield from selection.climbed(selection.part(known), meter)
    best, highest = None, 0.0
    for _, tried in promising:
        yield
        needed = screen.needed(tried.n_components, now, 1.0, 1.0)
        mixture, criterion = yield from selection.climbed(tried, meter, needed)
        gain = terms.gain(now, criterion)
        if gain > highest and not loses_a_regime(now, criterion):
            whole = selection.whole(mixture)
            if not terms.refuses(whole):
                best, highest = whole, gain
    return best


class _Screen:
    """What fits to some of the rows must come up to, to be tried on all."""

    def __init__(self, selection: Selection, some: Selection, now: Criterion, terms: Terms) -> None:
        self._penalty, self._now, self.terms = selection.penalty, now, terms
        self._share = some.n_rows / max(selection.n_rows, 1)
        self.known, self.reached = now.n_components, now.log_likelihood

    def missing(self, k: int, of: int) -> float:
        """Nats of evidence on all rows that k components must gain on those known."""
        more = self._penalty(k) - self._penalty(of)
        return more + self.terms.price(k) - WORTH * of

    def needed(self, k: int, now: Criterion, share: float, strictness: float) -> float:
        """The least log-likelihood that k components need on so many of the rows."""
        of = now.n_components
        missing = self.missing(k, of)
        missing *= strictness if missing > 0.0 else 2.0 - strictness
        lost = max(self._penalty(of) - self._penalty(k), 0.0) / 2.0 * (2.0 - strictness)
        return max(self._evidence(now) + share * missing, now.log_likelihood - share * lost)

    def _evidence(self, of: Criterion) -> float:
        """What is compared, without the price of parameters."""
        return self.terms.value(of) + of.log_likelihood - of.bic

    def least(self, k: int) -> float:
        """The least log-likelihood of k components from which fewer may still be promising.

        Fewer components have no better likelihood.
        """
        fewer = range(self.terms.least, k + 1)
        return min(self.needed(j, self._now, self._share, PROMISING) for j in fewer)

    def promise(self, other: Criterion) -> float:
        """Nats on all rows beyond what makes a fit promising."""
        k, of = other.n_components, self._now.n_components
        missing = self.missing(k, of)
        missing *= PROMISING if missing > 0.0 else 2.0 - PROMISING
        return (self._evidence(other) - self._evidence(self._now)) / self._share - missing


def _chain(
    some: Selection, mixture: MixtureParameters, screen: _Screen, meter: Meter
) -> Sliced[list[tuple[float, MixtureParameters]]]:
    """Merge components one after the other; return the promising fits with their promise."""
    found: list[tuple[float, MixtureParameters]] = []
    while True:
        k = mixture.n_components
        needed = screen.least(k)
        mixture, criterion = yield from some.climbed(mixture, meter, needed)
        same = k == screen.known and criterion.log_likelihood < screen.reached + SAME
        if criterion.log_likelihood < needed or same:
            return found
        promise = screen.promise(criterion)
        if promise > 0.0:
            found.append((promise, mixture))
        # one component has one fit
        if k <= max(screen.terms.least, 2 if screen.known == 1 else 1):
            return found
        mixture = one_fewer(mixture)


def loses_a_regime(now: Criterion, other: Criterion) -> bool:
    """Whether a fit leaves out a component that is more than chance.

    A component that was born as its rows came together may overlap with others. Rows that are taken
    each by itself then do not tell it surely, as BIC and ICL demand; half of its price must do.
    """
    price = (now.log_likelihood - now.bic) - (other.log_likelihood - other.bic)
    return other.log_likelihood < now.log_likelihood - max(price, 0.0) / 2.0
