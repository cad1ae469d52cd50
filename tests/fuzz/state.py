"""Bytes as a state that somebody has tampered with, its checksum made right again.

Whatever the bytes are: a state is refused with a `StateError`, without memory beyond its own size,
or what is read from it can be written, asked and taught.
"""

from __future__ import annotations

import math
import struct
import warnings
from functools import cache
from typing import Any

import msgspec
import numpy as np

from online_gmm import (
    HalfLife,
    OnlineGMM,
    OnlineHMM,
    RollingFeatures,
    Segmenter,
)
from online_gmm.data.state import HEADER, MAGIC, VERSION, StateError, _digest, load
from tests.fuzz.points import Story

VALUES = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 17, 255, 2**31, 2**40, 2**53, 2**62, 2**63 - 1, -1, -(2**63)),
    *(0.0, -0.0, 1.0, -1.0, 1e-300, 1e150, 1e300, 1e308, math.inf, -math.inf, math.nan, 5e-324),
    *(None, True, False, "", "a", b"", b"\0" * 8, b"\0" * 24, b"\xff" * 64, [], [[]], {}, [0, 0]),
)


@cache
def bases() -> tuple[bytes, ...]:
    """States of small learners, before and after their start."""
    rng = np.random.default_rng(1)
    settings: dict[str, Any] = {"warm_up": 8, "n_init": 2, "seed": 1}
    learners = [
        OnlineGMM(2, **settings),
        OnlineGMM(2, covariance_type="diag", capacity=8, time="t", **settings),
        OnlineGMM(3, recycle=True, step_size=HalfLife(points=20), **settings),
        OnlineGMM(2, covariance_type="tied", average=False, **settings),
        OnlineHMM(2, lag=3, **settings),
        OnlineHMM(2, covariance_type="spherical", time="t", capacity=8, **settings),
        Segmenter(),
        Segmenter(OnlineGMM(2, **settings)),
        RollingFeatures(4),
        RollingFeatures(5, statistics=("skewness", "autocorrelation"), lag=(1, 2)),
    ]
    found = []
    for learner in learners:
        found.append(learner.to_bytes())
        for i in range(40):
            x: dict[str, Any] = {"a": rng.normal() + 6.0 * (i // 5 % 2), "b": rng.normal()}
            if getattr(learner, "time", None):
                x["t"] = float(i)
            learner.learn_one(x)
        found.append(learner.to_bytes())
    return tuple(found)


def sealed(body: bytes) -> bytes:
    head = VERSION.to_bytes(2, "little")
    return b"".join([MAGIC, head, _digest(head, body), body])


def tampered(value: Any, story: Story, places: list[int]) -> Any:
    """The same value, but for the places that are to be changed, counted as they are met."""
    places[0] -= 1
    if places[0] == 0:
        return altered(value, story)
    if isinstance(value, dict):
        return {name: tampered(its, story, places) for name, its in value.items()}
    if isinstance(value, list):
        return [tampered(its, story, places) for its in value]
    return value


def altered(value: Any, story: Story) -> Any:
    how = story.byte() % 8
    if isinstance(value, bytes) and value and how < 5:
        place = 8 * ((story.byte() << 8 | story.byte()) % max(len(value) // 8, 1))
        if how < 3:
            number = VALUES[story.byte() % 29]
            data = struct.pack("<d", float(number))
            return value[:place] + data + value[place + 8 :]
        return value[:place] if how == 3 else value + value[:place]
    if isinstance(value, int) and not isinstance(value, bool) and how < 3:
        return max(min(value + story.byte() - 128, 2**64 - 1), -(2**63))
    if isinstance(value, list) and value and how < 3:
        at = story.byte() % len(value)
        return value[:at] + value[at + 1 :] if how else [*value, value[at]]
    return VALUES[story.byte() % len(VALUES)]


def counted(value: Any) -> int:
    """Places in a value."""
    if isinstance(value, dict):
        return 1 + sum(map(counted, value.values()))
    return 1 + (sum(map(counted, value)) if isinstance(value, list) else 0)


def run(data: bytes) -> int:
    """Read a state that has been tampered with; raises what should never be raised."""
    story = Story(data)
    base = story.among(bases())
    how = story.byte()
    if how < 16:
        # bytes, not values
        body = bytearray(base[HEADER:])
        for _ in range(1 + how % 4):
            body[(story.byte() << 8 | story.byte()) % len(body)] = story.byte()
        state = sealed(bytes(body))
    else:
        values = msgspec.msgpack.decode(base[HEADER:])
        for _ in range(1 + how % 3):
            place = 1 + (story.byte() << 8 | story.byte()) % counted(values)
            values = tampered(values, story, [place])
        state = sealed(msgspec.msgpack.encode(values))
    try:
        learner = load(state)
    except StateError as error:
        if isinstance(error.__cause__, MemoryError):
            raise AssertionError("it asks for memory beyond its own size") from error
        return 1
    with warnings.catch_warnings():
        # numbers out of any range may overflow, as long as nothing is read out of bounds
        warnings.simplefilter("ignore")
        use(learner)
    return 1


def use(learner: Any) -> None:
    """Write, ask and teach; errors that say what is wrong are as good as answers."""
    learner.to_bytes()
    x = {"a": 0.5, "b": 0.5, "t": 1e6}
    for act in ("predict_one", "predict_proba_one", "transform_one", "learn_one", "learn_one"):
        if hasattr(learner, act):
            try:
                getattr(learner, act)(x)
            except (TypeError, ValueError, np.linalg.LinAlgError):
                continue
    learner.to_bytes()
