"""Mixtures that have learnt different points become one."""

from __future__ import annotations

import abc
import copy
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.learners.intake import NO_TIME, unchanged_if_refused
from online_gmm.learners.mixture_polish import PolishedMixture


class MergedMixture(PolishedMixture, abc.ABC):
    """Takes in what another mixture has learnt."""

    @unchanged_if_refused
    def merge(self, other: Self) -> Self:
        """Merge another model into this one. Both must have the same parameters.

        Both models are polished, and their statistics are added in proportion to the points behind
        them. Apart from rounding the order of several merges does not matter. Components keep this
        model's numbers. Unless both models have the same warm start, the other's components are
        matched to them by assignment on Bhattacharyya distance. The other model does not change.
        O(K^3 + K^2 D^3).

        Parameters
        ----------
        other : OnlineGMM
            A model that has learnt other points.

        Returns
        -------
        OnlineGMM
            This model.

        Raises
        ------
        ValueError
            If the models differ in parameters, features or their number of components, if
            components have been recycled, or if the other model is this one.
        TypeError
            If the other is no such model.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import OnlineGMM
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(rng.choice([0.0, 9.0], size=4000), 1.0)
        >>> shards = [OnlineGMM(2, seed=1), OnlineGMM(2, seed=2)]
        >>> for shard, rows in zip(shards, np.split(X, 2)):
        ...     shard.learn_many(rows)
        >>> both = shards[0].merge(shards[1])
        >>> both.n_points, both.mixture.means.ravel().round(1)
        (4000, array([-0.,  9.]))
        """
        if not isinstance(other, type(self)):
            raise TypeError(f"{type(self).__name__} merges with its like, not with {other!r}")
        if other is self:
            raise ValueError(
                "a model cannot be merged with itself: its points would count twice. Give one that "
                "has learnt other points"
            )
        its = other._get_params()
        for name, value in self._get_params().items():
            if name != "seed" and its[name] != value:
                raise ValueError(
                    f"models that differ in {name} cannot be merged: {value!r} and {its[name]!r}"
                )
        if self.recycle and (self.events or other.events):
            raise ValueError(
                "models whose components have come and gone cannot be merged: "
                "there is no telling which is which"
            )
        names = other.names
        self._stream = copy.deepcopy(self._stream)
        self._refit = None
        if other._stream is None:
            self._learn_kept(other._buffer, [_known(other._last)] * len(other._buffer))
        elif self._stream is None:
            kept = self._buffer
            self._refit_at, self._next_slice = other._refit_at, other._next_slice
            self._searches = other._searches
            self._refit = copy.deepcopy(other._refit)
            self._release_points()
            self._slices = None
            self._names, self._start = other._names, other._start
            self._roster = copy.deepcopy(other._roster)
            self._numbered = other._numbered
            self._stream = copy.deepcopy(other._stream)
            self._learn_kept(kept, [_known(self._last)] * len(kept))
        else:
            if self._names != other._names:
                raise ValueError(
                    f"models that know different features cannot be merged: "
                    f"{', '.join(map(repr, self._names))} and "
                    f"{', '.join(map(repr, other._names))}"
                )
            if self._k != other._k:
                way = (
                    "set n_components"
                    if self.n_components == "auto"
                    else "make both with capacity=0, which begin with all of n_components"
                )
                raise ValueError(
                    f"models that have found {self._k} and {other._k} components cannot be merged; "
                    f"merge them when both have learnt points of all regimes, or {way}"
                )
            start, its_start = self.start, other.start
            assert start is not None
            assert its_start is not None
            stream = copy.deepcopy(other._stream)
            if self._keeps_points:
                # what is random averages out over shards, what they have in common does not
                self._polish(self._stream, start)
                self._polish(stream, its_start)
            mine, theirs = self._roster.numbers, other._roster.numbers
            if self._start != other._start or mine != theirs:
                order = other.mixture.order_like(self.mixture).tolist()
                stream.reorder(order)
                # component k is what order[k] was
                pairs = [(mine[k], theirs[place]) for k, place in enumerate(order)]
                names = {label: names[old] for label, old in pairs if old in names}
            points, stride = self._pool(self._stream, stream)
            self._stream.merge(stream)
            self._stream.keep_instead(points, stride)
            while self._refit_at <= self._stream.n_points:
                self._refit_at *= 2
            self._searches = True
            self._wait()
        self._label_names = {**names, **self._label_names}
        self._n_empty += other._n_empty
        self.n_late += other.n_late
        self.n_unknown += other.n_unknown
        return self

    def _pool(self, *streams: _kernel.MixtureStream) -> tuple[bytes, int]:
        """The points that streams have kept, thinned alike, and the stride that leaves."""
        stride = max(stream.stride_kept for stream in streams)
        rows = np.vstack(
            [
                _one_of_each(self._points_of(stream), stride // stream.stride_kept)
                for stream in streams
            ]
        )
        while len(rows) > self._stream.capacity and self._keeps_points:
            rows, stride = _one_of_each(rows, 2), 2 * stride
        return rows.tobytes(), stride


def _one_of_each(rows: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """One of every so many rows, which changes from block to block as in the kernel."""
    blocks = range(len(rows) // size)
    return rows[[size * block + _kernel.place_in_block(block, size) - 1 for block in blocks]]


def _known(seconds: float) -> float:
    """A time, or that there is none."""
    return seconds if math.isfinite(seconds) else NO_TIME
