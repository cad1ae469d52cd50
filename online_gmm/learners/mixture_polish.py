"""A mixture comes closer to what batch EM would find."""

from __future__ import annotations

import abc
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.mixture import posterior
from online_gmm.em.polish import polish
from online_gmm.em.warm_start import WarmStart
from online_gmm.learners.em_learner import FEW
from online_gmm.learners.mixture_refits import RefittedMixture


class PolishedMixture(RefittedMixture, abc.ABC):
    """Corrects the parameters by EM steps on the points that are kept."""

    @abc.abstractmethod
    def _wait(self) -> None:
        """Let the stream learn without a break until something is due."""

    def _kept(self, stream: _kernel.MixtureStream, start: WarmStart) -> NDArray[np.float64]:
        """The points kept, without outliers if these are few."""
        rows = self._points_of(stream)
        strange = self._outlying(posterior(stream, rows)[2], rows)
        return rows[~strange] if strange.mean() < FEW else rows

    def polish(self, X: Any = None) -> Self:
        """Bring the parameters closer to those that batch EM would find.

        A stream learns each point under the parameters of that moment, so what it reports lags
        behind the fixed point of EM on all points. EM steps on the points kept correct for this:
        see `online_gmm.em.polish`.

        Parameters
        ----------
        X
            All points learnt, once more, as a frame or an array. One exact EM step on them is then
            made between the steps on the points kept. By default only the latter are made.

        Returns
        -------
        OnlineGMM
            This model.

        Raises
        ------
        ValueError
            If the model has not started, or keeps no points (``capacity=0``, or a step size that
            follows).
        """
        stream, start = self._stream, self.start
        if stream is None or start is None:
            raise ValueError("nothing is learnt yet, so there is nothing to polish")
        if not self._keeps_points:
            raise ValueError(
                "polishing needs the points that a model keeps: capacity above 1, and a step size "
                "that does not follow"
            )
        self._polish(stream, start, None if X is None else self._table(X).select(self._names))
        self._refit = None
        self._wait()
        return self

    def _polish(
        self,
        stream: _kernel.MixtureStream,
        start: WarmStart,
        every: NDArray[np.float64] | None = None,
    ) -> None:
        reported = stream.components
        kept = self._kept(stream, start)
        polish(stream.average_components, reported, kept, stream.n_points, every)
        gates = flat(self._gates(len(self._names)))
        stream.restart(_kernel.components_from_state(reported.state()), gates)
