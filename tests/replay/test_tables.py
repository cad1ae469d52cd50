"""Tables for people."""

import numpy as np
from rich.console import Console

from online_gmm import OnlineGMM
from replay.engine.summary import Happening, Summary
from replay.sources.times import Clock
from replay.views.tables import events_table, regimes_table, totals


def shown(table):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_regimes_have_their_names_and_the_unknown_is_none():
    model = OnlineGMM(2, warm_up=20, features=["level"], seed=1)
    model.learn_many(np.tile([1.0, 1.1, 9.0, 9.2], 20))
    model.rename(1, "run [hot]")
    summary = Summary()
    labels = np.repeat([-1, 0, 1], [5, 40, 35])
    summary.add(np.zeros((80, 1)), labels, np.zeros(80, dtype=bool))
    summary.close()
    text = shown(regimes_table(summary, model))
    assert "run [hot]" in text
    assert "-1" not in text
    assert "gone" not in text
    assert totals(summary).startswith("80 rows, 2 segments")


def test_events_have_the_names_of_regimes():
    model = OnlineGMM(2, warm_up=20, features=["level"], recycle=True, seed=1)
    rng = np.random.default_rng(1)
    model.learn_many(rng.normal(np.tile([1.0, 9.0], 400), 0.1))
    model.learn_many(rng.normal(np.tile([1.0, 1.0], 4000), 0.1))
    model.learn_many(rng.normal(np.tile([1.0, 30.0], 400), 0.1))
    event = model.events[-1]
    model.rename(event.number, "hot")
    assert model.events[-1].name == "hot"
    happenings = [Happening(1, "", event) for event in model.events]
    text = shown(events_table(happenings, timed=False, clock=Clock()))
    assert f"{event.number} hot" in text
