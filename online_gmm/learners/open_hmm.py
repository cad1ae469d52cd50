"""OpenHMM: regimes that persist, of which nobody knows how many there are."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.data.state import writable
from online_gmm.learners.intake import Intake, Late, Time

LOOKS = 8
"""Rows of a window that are looked at: neighbours share nearly all of their points."""


@writable
class OpenHMM(Intake):
    """Hidden Markov model over windowed features to which regimes are added as they come.

    A belief over the regimes known, and over the novelty that it is none of them, is filtered as in
    `OnlineHMM`. When the novelty has lasted, a regime is born of it, as in a sticky Dirichlet
    process [1]_; one that is left and returned to at once is merged with what it was left for. No
    history is needed: the first windows are the first regime. Put `RollingFeatures` of the same
    window before it.

    Parameters
    ----------
    window
        Points of the window behind the features. Every eighth of it a row is looked at; between
        two looks the label holds. All times below are in windows.
    max_components
        Regimes known at a time. When one more is born, the one not seen for longest is forgotten.
    novelty
        Squared distance a feature, in pooled standard deviations, beyond which a row is more likely
        to be something new. The lower, the more regimes.
    floor
        Least standard deviation of a regime, in the units of the features.
    tempering
        Evidence of a window, in rows that would not overlap.
    dwell
        How long a regime lasts in the mean, before anything is seen.
    warm
        Windows that make the first regime.
    birth
        How long a novelty must last to become a regime.
    young
        How long a regime, once born, cannot be left for something new: it has not shown its breadth
        yet.
    bounce
        A regime left for another and returned to within this time is one with it; 0 merges none.
    strength
        Windows' worth of pooled variance in the variances of each regime.
    features, time, late
        The same as for `OnlineGMM`.

    Attributes
    ----------
    n_points, n_empty, n_late, n_unknown
        The same as for `OnlineGMM`.

    Notes
    -----
    Cost per point: O(K D) at a look, O(D) between. Memory: O((K + 8 birth) D).

    A label tells of the window that ends with the point, and so, at best, of the point half a
    window ago: shifted by that much labels are about as good as trailing windows allow.

    The numbers of regimes rise from 0 and are not used again. A novelty bears the number of the
    regime it is about to become; if it does not last, the next one gets it.

    References
    ----------
    .. [1] Fox, E. B., Sudderth, E. B., Jordan, M. I. & Willsky, A. S. (2011). A sticky HDP-HMM with
           application to speaker diarization. Annals of Applied Statistics 5(2A), 1020-1056.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import OpenHMM, RollingFeatures
    >>> rng = np.random.default_rng(1)
    >>> sd = np.repeat([1.0, 4.0, 1.0], 1200)
    >>> model = RollingFeatures(40, ["mean", "log_sd"]) | OpenHMM(window=40)
    >>> labels = []
    >>> for x in rng.normal(0.0, sd):
    ...     labels.append(model.predict_one({"x": x}))
    ...     model.learn_one({"x": x})
    >>> labels[1190], labels[2390], labels[3590]
    (0, 1, 0)
    """

    order_by = None
    seed = None

    def __init__(
        self,
        window: int = 100,
        *,
        max_components: int = 8,
        novelty: float = 3.0,
        floor: float = 0.1,
        tempering: float = 2.0,
        dwell: float = 100.0,
        warm: float = 2.0,
        birth: float = 2.0,
        young: float = 2.0,
        bounce: float = 3.0,
        strength: float = 10.0,
        features: Sequence[Hashable] | None = None,
        time: Hashable | None = None,
        late: Late = "raise",
    ) -> None:
        if not window >= LOOKS:
            raise ValueError(f"window is {window!r}; it must have {LOOKS} points at least")
        if not max_components >= 1:
            raise ValueError(f"max_components is {max_components!r}; it must be at least 1")
        for name, value in (
            ("novelty", novelty),
            ("floor", floor),
            ("tempering", tempering),
            ("dwell", dwell),
            ("warm", warm),
            ("birth", birth),
        ):
            if not 0.0 < value < math.inf:
                raise ValueError(f"{name} is {value!r}; it must be above 0 and finite")
        for name, value in (("young", young), ("bounce", bounce), ("strength", strength)):
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}; it must be 0 or more, and finite")
        self.window = window
        self.max_components = max_components
        self.novelty = novelty
        self.floor = floor
        self.tempering = tempering
        self.dwell = dwell
        self.warm = warm
        self.birth = birth
        self.young = young
        self.bounce = bounce
        self.strength = strength
        self.features = features
        self.time = time
        self.late = late
        self.warm_up = window
        self._prepare()

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"window": 8}
        yield {"window": 40, "max_components": 2, "novelty": 1.0}

    def _begin(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> None:
        """The first window passes; rows beyond it are learnt."""
        hop = self.window // LOOKS
        look = hop / self.window

        def looks(windows: float, least: int) -> int:
            return max(least, round(windows / look))

        self._names = names
        self._stream = _kernel.OpenChain(
            len(names),
            self.max_components,
            hop,
            self.window,
            (self.tempering, self.dwell, self.novelty, self.floor**2, self.strength),
            (
                looks(self.warm, 2),
                looks(self.birth, 2),
                looks(self.young, 0),
                looks(self.bounce, 0),
            ),
            self._last,
        )
        self._stream.pass_over(min(len(rows), self.window))
        rest = rows[self.window :]
        self._stream.learn(flat(rest), 0, len(rest), None)

    def _attend(self) -> None:
        """Nothing is ever due."""

    def _streaming(self, its: dict[str, Any]) -> _kernel.OpenChain:
        stream = _kernel.open_chain_from_state(its)
        shape = len(self._names), self.max_components, self.window // LOOKS
        if tuple(its["shape"]) != shape:
            raise ValueError("the components are not those of the parameters")
        return stream

    # -- answers --------------------------------------------------------------------------------

    def predict_one(self, x: Mapping[Any, Any], t: Time | None = None) -> int:
        """The label of a point that comes next, given all before it; changes nothing."""
        if self._stream is None:
            return 0
        label: int = self._stream.label_one(x, self._names)
        return label

    def predict_proba_one(self, x: Mapping[Any, Any]) -> dict[int, float]:
        """The probability of every regime known at a point that comes next, and of a new one.

        They sum to 1. That of something new is under the number it would get.
        """
        if self._stream is None:
            return {0: 1.0}
        probabilities: dict[int, float] = self._stream.probabilities_one(x, self._names)
        return probabilities

    def label_many(self, X: Any) -> Any:
        """Learn rows, and say what regime each left the model in, given it and all before.

        A series like the frame that came in, or an array of shape (n,). Labels are causal; beside
        `predict_one` before each `learn_one` they also know of merges at the row itself.
        """
        table = self._table(X)
        labels = np.zeros(len(table), dtype=np.int64)
        done = 0
        while self._stream is None and done < len(table):
            self.learn_one(dict(zip(table.names, table.values[done].tolist(), strict=True)))
            done += 1
        if done < len(table):
            rest = array("q", bytes(8 * (len(table) - done)))
            self._stream.label(flat(table.select(self._names)[done:]), len(rest), rest)
            labels[done:] = rest
        return table.series(labels, "label")

    @property
    def belief(self) -> dict[int, float]:
        """The probability of every regime known at the last look, and of a new one."""
        if self._stream is None:
            return {0: 1.0}
        beliefs: dict[int, float] = self._stream.beliefs
        return beliefs

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The means of the regimes known, by label and feature."""
        if self._stream is None:
            return {}
        return {
            label: dict(zip(self._names, mean, strict=True))
            for label, mean in self._stream.means.items()
        }
