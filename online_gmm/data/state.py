"""What a learner has learnt, as bytes: a header, a checksum and plain values.

A state consists of ``OGMM``, the version of the format (two bytes, little-endian), a BLAKE2b digest
of 16 bytes over the version and all that follows the digest, and MessagePack: the name of the
class, its parameters, and what it has learnt. Arrays are raw doubles, little-endian. Nothing in a
state is ever run. It can only be of a class that has been registered, and only public names of this
package are imported for it.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import sys
from collections.abc import Hashable, Set
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Self, TypeVar, get_type_hints

import msgspec
import numpy as np

MAGIC = b"OGMM"
VERSION = 4
"""Of the format that is written. Version 3 has other names of parameters and classes than 2, and 4
another kernel of a segmenter without a model."""
DIGEST = 16
HEADER = len(MAGIC) + 2 + DIGEST

TUPLE, INTEGER, DATE, DATETIME, VALUE, DURATION = range(6)
"""The types that MessagePack does not have."""
MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What a malformed state may raise on its way to the kernel."""


class StateError(ValueError):
    """The bytes are not a state that can be loaded; the message says why."""


class OldStateError(StateError):
    """The bytes are of a version of the format that is not read any more; says what to do."""


class Writable:
    """An object that can be written as bytes and read again."""

    def to_bytes(self) -> bytes:
        """Return all that has been learnt, as bytes for a file or a database.

        An object that `from_bytes` has read from them continues exactly as this one would, to the
        last bit. If random starts are still to be drawn, that needs a ``seed``. The bytes have a
        version and a checksum, and are the same on every platform and with both kernels. Cost:
        proportional to the memory of the object.

        Returns
        -------
        bytes

        Raises
        ------
        TypeError
            If a name, a parameter or a time is not one of None, bool, int, float, str, bytes, date,
            datetime, timedelta, or a tuple or list of these. Numbers and strings of numpy are read
            back as Python's, named tuples as tuples, and time zones as offsets from UTC.

        Examples
        --------
        >>> from online_gmm import OnlineGMM
        >>> model = OnlineGMM(n_components=2, warm_up=4, seed=1)
        >>> for x in [1.0, 9.0, 1.1, 9.1, 0.9]:
        ...     model.learn_one({"x": x})
        >>> again = OnlineGMM.from_bytes(model.to_bytes())
        >>> again.predict_one({"x": 8.0}), again.n_points
        (1, 5)
        """
        kind: Any = type(self)
        values = {name: _as_python(getattr(self, name)) for name in self._written_params()}
        if "features" in values:
            values["features"] = _listed(values["features"])
        params = {name: plain(value, name) for name, value in values.items()}
        try:
            msgspec.convert(values, _types_of(kind))
        except msgspec.ValidationError as error:
            raise TypeError(f"the parameters cannot be written: {error}") from None
        return _sealed([kind.__name__, params, self._state()])

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` has written, in this release or an earlier one.

        Parameters
        ----------
        data : bytes
            Bytes of any origin. They are checked before they are used: no code in them is run, and
            memory is bounded by their length. The parameters in them are passed to the
            constructor: ``n_init=10**9`` would make later fits very slow.

        Raises
        ------
        StateError
            If the bytes are damaged, cut off, not a state, of another class, or of a version of the
            format that is not read here.

        Examples
        --------
        >>> from online_gmm import OnlineGMM, OnlineHMM
        >>> OnlineGMM.from_bytes(OnlineHMM().to_bytes())
        Traceback (most recent call last):
        ...
        online_gmm...StateError: this is the state of an OnlineHMM; OnlineHMM.from_bytes ...
        """
        return _read(data, cls)

    @classmethod
    def _written_params(cls) -> tuple[str, ...]:
        """Return the parameters of the constructor that are written as they are."""
        kind: Any = cls
        return _params_of(kind)

    def _state(self) -> dict[str, Any]:
        """Return what has been learnt, as plain values."""
        raise NotImplementedError

    def _restore(self, state: dict[str, Any]) -> None:
        """Set what has been learnt. The values may be anything and are to be checked."""
        raise NotImplementedError

    @classmethod
    def _must_be_read(cls, version: int) -> None:
        """Raise an `OldStateError` if states of this version of the format are not read now."""

    @classmethod
    def _revived(cls, params: dict[str, Any], state: dict[str, Any]) -> Self:
        result = cls(**params)
        result._restore(state)
        return result


KINDS: dict[str, type[Writable]] = {}
"""The classes that states may be of, by name: those registered by `writable`."""
VALUES: dict[str, type[Any]] = {}
"""The classes that parameters may be of, by name: those registered by `storable`."""

Kind = TypeVar("Kind", bound=type[Writable])
Written = TypeVar("Written", bound=Writable)
ValueKind = TypeVar("ValueKind", bound=type[Any])


def writable(kind: Kind) -> Kind:
    """Register a class of which states may be."""
    KINDS[kind.__name__] = kind
    return kind


def storable(kind: ValueKind) -> ValueKind:
    """Register a class of plain fields of which a parameter may be."""
    VALUES[kind.__name__] = kind
    return kind


def _registered(name: str, register: dict[str, Any]) -> Any:
    """Return the registered class of this name, None if there is none."""
    if name not in register:
        package = import_module("online_gmm")
        # a public name is imported when it is asked for, and registers itself then
        if name in package.__all__:
            getattr(package, name)
    return register.get(name)


def load(data: bytes) -> Any:
    """Read the learner, segmenter or transformer of this package that the bytes are the state of.

    Raises
    ------
    StateError
        As in `Writable.from_bytes`.

    Examples
    --------
    >>> from online_gmm import RollingFeatures
    >>> from online_gmm.data import state
    >>> state.load(RollingFeatures(window=3).to_bytes()).window
    3
    """
    return _read(data, Writable)


def _read(data: bytes, expected: type[Written]) -> Written:
    try:
        version, (name, params, state) = _opened(data)
        kind = _registered(name, KINDS) or expected
        if kind.__name__ != name:
            raise StateError(f"this is the state of {_a(name)}, which is not known here")
        if not issubclass(kind, expected):
            raise StateError(f"this is the state of {_a(name)}; {name}.from_bytes reads it")
        kind._must_be_read(version)
        result: Written = kind._revived(_checked(kind, params), state)
        return result
    except StateError:
        raise
    except MALFORMED as error:
        raise StateError(f"this state is malformed: {_reason(error)}") from error


def _a(name: str) -> str:
    return f"a{'n' * (name[:1] in 'AEIOU')} {name}"


def _reason(error: Exception) -> str:
    missing = "there is nothing under " if isinstance(error, KeyError) else ""
    return f"{missing}{error}" or type(error).__name__


# -- header -------------------------------------------------------------------------------------


def _sealed(values: Any) -> bytes:
    _require_little_endian()
    head = VERSION.to_bytes(2, "little")
    body = msgspec.msgpack.encode(values, enc_hook=_as_python)
    return b"".join([MAGIC, head, _digest(head, body), body])


def _opened(data: bytes) -> tuple[int, Any]:
    """The version of the format, and what has been written."""
    _require_little_endian()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise StateError(f"a state is bytes, and this is of type {type(data).__name__}")
    data = bytes(data)
    if not data.startswith(MAGIC):
        if data and MAGIC.startswith(data):
            raise StateError(f"this state is cut off after {len(data)} bytes")
        raise StateError("these bytes are no state of this package: they do not begin with 'OGMM'")
    if len(data) < HEADER:
        raise StateError(f"this state is cut off after {len(data)} bytes")
    head, digest, body = data[4:6], data[6:HEADER], data[HEADER:]
    version = int.from_bytes(head, "little")
    if version > VERSION:
        raise StateError(
            f"this state is of version {version} of the format, and this release of online_gmm "
            f"reads up to {VERSION}; update it"
        )
    if version < 1:
        raise StateError(f"this state is damaged: there is no version {version} of the format")
    if _digest(head, body) != digest:
        raise StateError("this state is damaged or cut off: its checksum is not that of its bytes")
    tree = msgspec.msgpack.decode(body, ext_hook=_from_ext)
    return version, _renamed(*tree) if version < 3 else tree


def _digest(head: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(head, digest_size=DIGEST)
    digest.update(body)
    return digest.digest()


def _require_little_endian() -> None:
    if sys.byteorder != "little":
        raise StateError("states are little-endian, and this machine is not")


# -- versions 1 and 2 ---------------------------------------------------------------------------

PARAMETERS = {"prior": "prior_strength", "n_starts": "n_init"}
"""Parameters that have another name since version 3."""
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "Segmenter": (
        "Segmenter",
        {
            "window": None,
            "max_regimes": 64,
            "features": None,
            "max_gap": None,
            "late": "raise",
            "lag": 0,
        },
    ),
    "Trailing": ("RollingFeatures", {}),
    "TrailingMean": ("RollingFeatures", {"statistics": ["mean"], "lag": 1, "floor": 1.0}),
    "TrailingLogSD": ("RollingFeatures", {"statistics": ["log_sd"], "lag": 1}),
    "TrailingAutocorrelation": (
        "RollingFeatures",
        {"statistics": ["autocorrelation"], "floor": 1.0},
    ),
    "TrailingLogDifference": ("RollingFeatures", {"statistics": ["log_difference"]}),
    "TrailingCorrelation": (
        "RollingFeatures",
        {"statistics": ["correlation"], "lag": 1, "floor": 1.0},
    ),
}
"""Classes that have another name since version 3, with the parameters they lacked."""


def _renamed(name: str, params: dict[str, Any], state: Any) -> tuple[str, dict[str, Any], Any]:
    """Return a state of version 1 or 2 with the names that it would have today."""
    name, added = CLASSES.get(name, (name, {}))
    renamed = {PARAMETERS.get(param, param): its for param, its in params.items()}
    return name, {**renamed, **added}, state


# -- plain values -------------------------------------------------------------------------------


def plain(value: Any, what: str) -> Any:
    """A value from outside, as MessagePack has it; `_from_ext` gives it back."""
    kind = type(value)
    if value is None or kind in (bool, float, str, bytes):
        return value
    if kind is int:
        # beyond 64 bits there are no integers in MessagePack
        return value if -(2**63) <= value < 2**64 else _ext(INTEGER, str(value))
    if isinstance(value, tuple):
        return _ext(TUPLE, [plain(item, what) for item in value])
    if kind is list:
        return [plain(item, what) for item in value]
    if kind is datetime.datetime:
        return _ext(DATETIME, value.isoformat() + f" {value.fold}")
    if kind is datetime.date:
        return _ext(DATE, value.isoformat())
    if isinstance(value, datetime.timedelta):
        return _ext(DURATION, [value.days, value.seconds, value.microseconds])
    if VALUES.get(kind.__name__) is kind:
        fields = {name: plain(field, f"{what}, {name}") for name, field in vars(value).items()}
        return _ext(VALUE, [kind.__name__, fields])
    python = _as_python(value)
    if python is not value:
        return plain(python, what)
    raise TypeError(
        f"{what} is or holds {value!r} of type {kind.__name__}, which cannot be written; None, "
        "bool, int, float, str, bytes, date, datetime, timedelta, and tuples or lists of these can"
    )


def _listed(value: Any) -> Any:
    """Names in a set, an array or an index of pandas as a list."""
    if isinstance(value, Set):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "shape") else value


def _as_python(value: Any) -> Any:
    """Numpy's scalars as Python's."""
    if isinstance(value, np.timedelta64):
        return value.astype("timedelta64[us]").item()
    scalar = isinstance(value, np.bool_ | np.integer | np.floating | np.str_ | np.bytes_)
    return value.item() if scalar else value


def _ext(code: int, value: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, msgspec.msgpack.encode(value))


def _from_ext(code: int, data: memoryview) -> Any:
    value = msgspec.msgpack.decode(data, ext_hook=_from_ext)
    if code == TUPLE:
        return tuple(value)
    if code == INTEGER:
        return int(value)
    if code == DATE:
        return datetime.date.fromisoformat(value)
    if code == DURATION:
        return datetime.timedelta(*value)
    if code == DATETIME:
        moment, fold = value.split()
        return datetime.datetime.fromisoformat(moment).replace(fold=int(fold))
    if code == VALUE:
        name, fields = value
        return _registered(name, VALUES)(**fields)
    raise ValueError(f"there is no type {code}")


def names_of(values: Any) -> tuple[Hashable, ...]:
    """Names of features, each once; the same tuple for all that have the same names."""
    names = tuple(values)
    if len(set(names)) != len(names):
        raise ValueError("names of features are there more than once")
    # what is equal is the same of these
    return _shared(names) if all(type(name) in (str, int) for name in names) else names


@lru_cache(256)
def _shared(names: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """The first of equal names."""
    return names


def instance(value: Any, kind: Any, what: str) -> Any:
    """A value that must be of this type."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{what} is of type {type(value).__name__}")
    return value


def doubles(
    data: Any, shape: tuple[int, ...], what: str, missing: bool = False
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Doubles of this shape that are finite, or NaN where values may be missing."""
    values = np.frombuffer(instance(data, bytes, what)).reshape(shape)
    is_good = not np.isinf(values).any() if missing else np.isfinite(values).all()
    if not is_good:
        raise ValueError(f"{what} is not finite")
    return values


# -- parameters ---------------------------------------------------------------------------------


@cache
def _params_of(cls: type) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)


def _checked(kind: Any, params: Any) -> dict[str, Any]:
    """Parameters of the types that the constructor's signature has."""
    names: tuple[str, ...] = kind._written_params()
    if type(params) is not dict or set(params) != set(names):
        raise ValueError(f"the parameters are not {', '.join(names)}")
    msgspec.convert(params, _types_of(kind))
    for name in ("order_by", "time"):
        hash(params.get(name))
    if params.get("features") is not None:
        names_of(instance(params["features"], list | tuple, "features"))
    return {name: sys.intern(its) if type(its) is str else its for name, its in params.items()}


@cache
def _types_of(kind: type[Writable]) -> Any:
    hints = get_type_hints(kind.__init__)
    # the constructor sees to what msgspec has no types for
    own = ("features", "order_by", "time", "step_size", "window", "max_gap")
    fields: list[Any] = [
        (name, Any if name in own else hints[name]) for name in kind._written_params()
    ]
    return msgspec.defstruct("Parameters", fields, forbid_unknown_fields=True)
