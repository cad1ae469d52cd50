"""Where points come in: the short way from a learner to its stream."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.points import must_be_mapping, read_point
    from cython.cimports.online_gmm._kernel.streams.mixture import MixtureStream
    from cython.cimports.online_gmm._kernel.streams.stream import Stream
else:
    from online_gmm._kernel.points import must_be_mapping, read_point
    from online_gmm._kernel.streams.mixture import MixtureStream
    from online_gmm._kernel.streams.stream import Stream

NO_TIME = float("nan")


@cython.auto_pickle(False)
@cython.cclass
class Entry:
    """A learner that hands a point straight to its stream, if the point needs no time.

    A subclass has ``_learn(x, t)`` and ``_label(x, t)`` for all other points, and
    ``_notice(x, unknown)`` for unknown features and work that is due.

    Attributes
    ----------
    _stream
        The kernel of the learner; None before its warm start is complete.
    _names
        Names of the features, in order.
    _clocked
        Whether points must have a time.
    _numbered
        Whether the label of a component is not its place in the stream.
    """

    _stream: Any
    _names: tuple[Any, ...]
    _clocked: cython.bint
    _numbered: cython.bint

    def learn_one(self, x: Any, t: Any = None) -> None:
        """Learn a point: a mapping of feature names to real numbers.

        Parameters
        ----------
        x
            The point.
        t
            Its time, in seconds or as a datetime, unless x holds it under the key ``time``.

        Raises
        ------
        TypeError, ValueError
            If a known feature has a value that is no finite real number, or is beyond 1e150, or the
            time is not after the last one's. The message names the feature; the model is unchanged.
        """
        unknown: cython.Py_ssize_t
        learner: Any = self
        if t is not None or self._clocked or not isinstance(self._stream, Stream):
            try:
                learner._learn(x, t)
            except (AttributeError, TypeError):
                must_be_mapping(x)
                raise
            return
        stream: Stream = self._stream
        unknown = stream.learn_one(x, self._names, NO_TIME)
        if unknown != 0 or stream.is_due:
            learner._notice(x, unknown)

    def predict_one(self, x: Any, t: Any = None) -> int:
        """Return the label of a point: the number of its most probable component.

        It is -1 if nothing is known: before the warm start is complete, or if x has features but
        none that the model knows (which is warned of). The state does not change.

        Parameters
        ----------
        x
            The point: feature names and values. A missing feature is marginalised out.
        t
            The time of the point, in seconds or as a datetime, if the model needs times and x has
            no key ``time``.
        """
        learner: Any = self
        # the label of a mixture does not depend on the time
        if not self._numbered and (
            type(self._stream) is MixtureStream
            or (not self._clocked and isinstance(self._stream, Stream))
        ):
            stream: Stream = self._stream
            stream.refresh()
            if read_point(x, self._names, stream.point) > 0:
                label: int = stream.predict_point(NO_TIME)
                return label
        answer: int = learner._label(x, t)
        return answer

    def __getstate__(self) -> dict[str, Any]:
        own = (
            ("_stream", self._stream),
            ("_names", self._names),
            ("_clocked", self._clocked),
            ("_numbered", self._numbered),
        )
        return {**self.__dict__, **dict(own)}

    def __setstate__(self, its: dict[str, Any]) -> None:
        for name, value in its.items():
            setattr(self, name, value)
