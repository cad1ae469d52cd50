"""Bytes as a story of a learner: settings, points of any size, and what is done with it.

Whatever the bytes are, what a learner accepts it must survive, and what it refuses must leave it as
it was: after every act its state can be read back, and its answers are probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from online_gmm import (
    Constant,
    HalfLife,
    OnlineGMM,
    OnlineHMM,
    PowerDecay,
    Segmenter,
)
from online_gmm.data.state import load

EXPONENTS = (
    *(-324, -310, -300, -200, -162, -160, -156, -151, -150, -149, -140, -100, -50, -20, -6),
    *(-1, 0, 0, 0, 0, 1, 1, 2, 6, 9, 20, 50, 100, 120, 140, 148, 149, 150, 151, 160, 200, 300, 308),
)
SPECIAL = (math.nan, None, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e150, -1e150, 1e149, True, 7)
MOST_ACTS = 12


class Story:
    """Choices out of bytes; when they are used up, the first choice each time."""

    def __init__(self, data: bytes) -> None:
        self._left = iter(data)
        self.is_over = False

    def byte(self) -> int:
        try:
            return next(self._left)
        except StopIteration:
            self.is_over = True
            return 0

    def among(self, things: Any) -> Any:
        return things[self.byte() % len(things)]

    def number(self) -> Any:
        """A value of any magnitude."""
        kind = self.byte()
        if kind >= 250:
            return self.among(SPECIAL)
        exponent = EXPONENTS[kind % len(EXPONENTS)]
        digits = (self.byte() - 127.5) / 127.5
        # 10 ** -324 is 0, but 10 digits of it are not
        return digits * 10.0**exponent if exponent > -308 else digits * 10 * 10.0 ** (exponent - 1)


def settings(story: Story) -> dict[str, Any]:
    return {
        "warm_up": 4 + story.byte() % 12,
        "n_init": 2,
        "seed": 1,
        "prior_strength": story.among((1e-3, 1e-3, 0.0, 1.0, 1e3, 1e6)),
        "gate": story.among((1e-4, 1e-4, 0.0)),
        "covariance_type": story.among(("full", "full", "tied", "diag", "spherical")),
    }


def learner(story: Story) -> tuple[Any, int, bool]:
    """A learner, how many features its points have, and whether they have times."""
    kind = story.byte() % 8
    d = 1 + story.byte() % 3
    features = [chr(ord("a") + j) for j in range(d)]
    timed = story.byte() % 3 == 0
    if kind < 4:
        step_size = story.among(
            (None, PowerDecay(0.6), Constant(0.1), HalfLife(points=20), HalfLife(seconds=50.0))
        )
        timed |= isinstance(step_size, HalfLife) and step_size.seconds is not None
        model: Any = OnlineGMM(
            story.among((2, 1, 3, "auto")),
            max_components=3,
            step_size=step_size,
            average=story.among((None, True, False)),
            recycle=story.byte() % 3 == 0,
            capacity=story.among((16, 0, 64)),
            features=features,
            time="t" if timed else None,
            late=story.among(("raise", "skip", "learn")),
            **settings(story),
        )
    else:
        model = OnlineHMM(
            story.among((2, 1, 3)),
            stickiness=story.among((10.0, 1.0, 1e6)),
            lag=story.among((0, 3)),
            features=features,
            time="t" if timed else None,
            late=story.among(("raise", "skip", "learn")),
            **settings(story),
        )
    wrapped = story.byte()
    if wrapped % 4 == 0:
        model = Segmenter(model, min_dwell=1 + story.byte() % 3)
    elif wrapped % 32 == 1:
        model = Segmenter(
            window=story.among((None, None, 4, 7, 16)),
            max_regimes=story.among((64, 1, 2)),
            features=story.among((None, features)),
            time="t" if timed else None,
            max_gap=10.0 if timed else None,
            late=story.among(("raise", "skip", "learn")),
        )
    return model, d, timed


def point(story: Story, d: int, timed: bool, clock: list[float]) -> dict[str, Any]:
    x = {chr(ord("a") + j): story.number() for j in range(d)}
    if timed:
        x["t"] = moment(story, clock)
    return x


def moment(story: Story, clock: list[float]) -> Any:
    how = story.byte()
    if how < 16:
        return story.number()
    clock[0] += story.among((1.0, 1.0, 0.0, -1.0, 1e-3, 1e3, 1e9))
    return clock[0]


def burst(story: Story, d: int, timed: bool, clock: list[float]) -> list[dict[str, Any]]:
    """Rows around two levels of one scale."""
    return rows_of(story, range(4, 32), d, timed, clock)


def rows_of(
    story: Story, lengths: range, d: int, timed: bool, clock: list[float]
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(story.byte())
    centers, scales = [story.number() for _ in range(d)], [story.number() for _ in range(d)]
    rows = []
    for i in range(story.among(lengths)):
        x: dict[str, Any] = {}
        for j in range(d):
            center, scale = (
                v if isinstance(v, float) and math.isfinite(v) else 1.0
                for v in (centers[j], scales[j])
            )
            x[chr(ord("a") + j)] = center + scale * (rng.normal() + 6.0 * (i // 4 % 2))
        if timed:
            x["t"] = moment(story, clock)
        rows.append(x)
    return rows


def acts(model: Any, d: int, timed: bool, story: Story) -> Iterator[tuple[str, Any]]:
    """What is done, one after the other, as a name and a call."""
    clock = [0.0]
    if isinstance(model, Segmenter) and model.model is None:
        yield from acts_of_found(model, d, timed, story, clock)
        return
    inner = model.model if isinstance(model, Segmenter) else model
    for _ in range(MOST_ACTS):
        if story.is_over:
            return
        act = story.byte() % 8
        if act < 3:
            x = point(story, d, timed, clock)
            yield f"learn_one({x})", partial(model.learn_one, x)
        elif act < 5:
            for x in burst(story, d, timed, clock):
                yield f"learn_one({x})", partial(model.learn_one, x)
        elif act == 5:
            rows = burst(story, d, timed, clock)
            frame = pd.DataFrame(rows)
            if story.byte() % 2 and hasattr(inner, "label_then_learn_many"):
                learn = partial(inner.label_then_learn_many, frame)
            else:
                learn = partial(inner.learn_many, frame)
            yield f"{learn.func.__name__}({rows})", learn
        elif act == 6 and isinstance(inner, OnlineGMM):
            what = story.byte() % 3
            if what == 0:
                yield "polish", inner.polish
            elif what == 1:
                yield "fit_start", inner.fit_start
            else:
                yield "merge", partial(inner.merge, load(inner.to_bytes()))
        elif isinstance(inner, OnlineHMM) and inner.is_started:
            yield "reset_state", inner.reset_state


def acts_of_found(
    model: Segmenter, d: int, timed: bool, story: Story, clock: list[float]
) -> Iterator[tuple[str, Any]]:
    """The same for regimes that are found, which takes more rows."""
    for _ in range(MOST_ACTS):
        if story.is_over:
            return
        act = story.byte() % 8
        if act < 2:
            x = point(story, d, timed, clock)
            yield f"learn_one({x})", partial(model.learn_one, x)
        elif act < 6:
            rows = rows_of(story, range(20, 788, 3), d, timed, clock)
            missing = story.byte() % 8
            frame = pd.DataFrame(rows)
            if missing < d:
                frame.iloc[:: 2 + story.byte() % 5, missing] = math.nan
            if story.byte() % 8 == 0:
                value = story.number()
                frame.iloc[story.byte() % len(frame), 0] = (
                    math.nan if value is None else float(value)
                )
            yield f"learn_many({frame.to_dict('records')})", partial(model.learn_many, frame)
        elif act == 6:
            yield "finish", model.finish
        else:
            yield "reset_state", model.reset_state


def check_answers(model: Any, x: dict[str, Any]) -> None:
    """What is said of a point must be probabilities, and a finite density."""
    inner = model.model if isinstance(model, Segmenter) and model.model is not None else model
    values = list(inner.predict_proba_one(x).values())
    assert all(0.0 <= value <= 1.0 + 1e-9 for value in values), f"probabilities are {values}"
    assert not values or abs(sum(values) - 1.0) < 1e-9, f"{values} have the sum {sum(values)}"
    is_known = bool(inner.regimes) if isinstance(inner, Segmenter) else inner.is_started
    if is_known and hasattr(inner, "log_density_one"):
        density = inner.log_density_one(x)
        assert math.isfinite(density), f"the log density is {density}"


def refused(act: Any) -> Exception | None:
    """Why an act was refused; None if it was done."""
    try:
        act()
    except np.linalg.LinAlgError as error:
        raise AssertionError("a fault of the arithmetic is no refusal") from error
    except (TypeError, ValueError) as error:
        return error
    return None


def run(data: bytes, every: int = 1) -> int:
    """Go through a story; raises AssertionError, or what should never be raised. Acts done.

    After every act the state must be unchanged if it was refused; after each so many, and after the
    last, it is read back and asked.
    """
    story = Story(data)
    model, d, timed = learner(story)
    done = 0
    before = model.to_bytes()

    def look(name: str) -> None:
        again = load(before)
        assert again.to_bytes() == before, f"after {name} the state is another when read back"
        x = {chr(ord("a") + j): 0.5 for j in range(d)}
        check_answers(again, {**x, "t": 1e12} if timed else x)

    name = "nothing"
    for name, act in acts(model, d, timed, story):
        done += 1
        refusal = refused(act)
        if refusal is not None:
            same = model.to_bytes() == before
            assert same, f"{name} was refused ({refusal}) and has changed it"
            continue
        before = model.to_bytes()
        if done % every == 0:
            look(name)
    look(name)
    return done
