"""A fleet on the live page: sorted, searched and by pages, and one key of many to look at."""

import math
import re
import time
import urllib.parse

import numpy as np
import pytest
from batches import batch_of, label
from screenshots import CHROMIUM, COLUMNS, DRIVER, Machines, browser, look, until

from online_gmm import Assignment, OnlineGMM
from online_gmm.segmentation.found import FoundRegimes
from replay.engine.rows import Row
from replay.engine.series import Series
from replay.sources.times import Clock
from replay.views.history import History
from replay.views.page.fleet import ON_PAGE, FleetTable
from replay.views.page.server import PageServer
from replay.views.page.sink import Watcher
from replay.views.parameters import Parameters
from replay.views.roster import ORDERS, Roster, Standing


class Quick(Machines):
    """Machines whose warm-up is soon complete."""

    @staticmethod
    def _model():
        return OnlineGMM(2, features=COLUMNS, warm_up=8, seed=1)


def filled(n_keys, seed=1):
    """A roster of keys that differ in all that they can be sorted by."""
    roster, rng = Roster(), np.random.default_rng(seed)
    for i in range(4 * n_keys):
        j = i % n_keys
        key = f"hall-{j % 7}/pump {j}"
        regime = int(rng.integers(-1, 3))
        said = Assignment(regime, 0.9, -1.0, bool(rng.random() < 0.1))
        roster.add(Row(i, f"t{i}", (), {"x": 0.0}, None, key), said, int(rng.random() < 0.3), "")
    return roster


@pytest.mark.parametrize("order", ORDERS)
def test_pages_are_parts_of_the_whole_in_order(order):
    roster = filled(500)
    everything = sorted(roster._all.values(), key=ORDERS[order].by, reverse=True)
    found = []
    for first in range(0, 500, 60):
        page, n = roster.page("", order, first, 60)
        assert n == 500
        found += page
    assert found == everything


def test_a_search_is_for_a_part_in_upper_or_lower_case():
    roster = filled(500)
    page, n = roster.page("HALL-3/", "rows", 0, 20)
    assert len(page) == 20
    assert n == sum(key.startswith("hall-3/") for key in roster._all)
    assert roster.page("nothing") == ([], 0)


def test_a_standing_is_that_of_the_rows():
    roster = Roster()
    for i, (regime, outlier) in enumerate([(0, 0), (0, 1), (2, 0), (2, 0), (0, 0), (0, 0)]):
        said = Assignment(regime, 0.5 + i / 20, -1.0, bool(outlier))
        row = Row(i, f"t{i}", (), {"x": 0.0}, None, "a")
        roster.add(row, said, int(i in (2, 4)), ("idle", "", "on")[regime])
    its = roster.get("a")
    assert (its.label, its.name, its.probability) == (0, "idle", 0.75)
    assert (its.since, its.since_time, its.n, its.n_changes, its.n_outliers) == (5, "t4", 6, 2, 1)
    assert its.counts == {0: 4, 2: 2}
    assert its.strangeness == (0.0, 1 / 6, -4 / 6)


def test_a_standing_after_a_checkpoint_is_as_before(tmp_path):
    machines = Machines("a", "b", "c")
    machines.run(1500)
    position = machines.watcher.position()
    again = Watcher(
        History(machines.history.values), machines.series.get, known=machines.series.items
    )
    again.go_to(position)
    for key in machines.series:
        before, after = (its.history.roster.get(key) for its in (machines.watcher, again))
        for name in ("label", "name", "since", "since_time", "n", "n_changes", "n_outliers"):
            assert getattr(after, name) == getattr(before, name), name


def test_ten_thousand_keys_are_listed_in_a_moment():
    roster = filled(10_000)
    table = FleetTable(["x"], Clock())
    text = table.update(roster, lambda key: None)
    began = time.thread_time()
    for _ in range(5):
        text = table.update(roster, lambda key: None)
    assert (time.thread_time() - began) / 5 < 0.25
    assert text.count("<tr>") == ON_PAGE + 1
    assert len(text) < 40_000
    assert "1 to 50 of 10,000" in text


def test_a_visitor_turns_pages_searches_and_sorts():
    roster = filled(130)
    table = FleetTable(["x"], Clock(), order="rows")
    assert "1 to 50 of 130" in table.update(roster, lambda key: None)
    assert (table._back.disabled, table._on.disabled) == (True, False)
    first = table.listed
    for _ in range(3):
        table._turn(1)
    assert table.has_changed
    assert "101 to 130 of 130" in table.update(roster, lambda key: None)
    assert not set(first) & set(table.listed)
    assert table._on.disabled
    table._find.value = "pump 12"
    assert table.has_changed
    text = table.update(roster, lambda key: None)
    assert "1 to 11 of 11 that are found among 130" in text
    # what a page sends may be anything
    table._find.value = "x" * 10_000_000
    assert "no key of 130" in table.update(roster, lambda key: None)


def test_keys_are_listed_since_their_regime_began_rather_than_was_known():
    class Found(Machines):
        @staticmethod
        def _model():
            return FoundRegimes(features=COLUMNS)

    machines = Found("a", "b")
    machines.run(2000)
    parameters = Parameters.of_series(machines.series["a"])
    standing = machines.history.roster.get("a")
    *_, last, newest = parameters.changes
    row, when = last.at
    assert row < standing.since
    # one that is known since the last row is in no label yet
    assert newest.known_at[0] == standing.n
    assert newest.after != last.after == standing.label
    table = FleetTable(COLUMNS, Clock())
    known = {"a": parameters}
    assert when in table.update(machines.history.roster, known.get)
    assert standing.since_time in table.update(machines.history.roster, lambda key: None)


def test_keys_are_links_and_text():
    hostile = "<b>&\"'/../?key=x#\x1b]"
    roster = Roster()
    for key in (hostile, "b"):
        roster.add(Row(1, "", (), {}, None, key), Assignment(0, math.nan, 0.0, False), 0, "<i>")
    text = FleetTable(["x"], Clock()).update(roster, lambda key: None)
    assert "<b>" not in text
    assert "<i>" not in text
    (link,) = re.findall(r'href="\?(key=%3C[^"]*)"', text)
    assert urllib.parse.parse_qs(link.replace("&amp;", "&"))["key"] == [hostile]


def test_a_key_without_room_is_kept_while_somebody_looks():
    history = History(["x"], keys=2)
    series = {key: Series(OnlineGMM(2, features=["x"], warm_up=5)) for key in "abc"}
    watcher = Watcher(history, series.get)

    def come(n):
        for i in range(n):
            for key in "abc":
                row = Row(i, f"t{i}", (), {"x": i % 2 * 5.0 + i % 3}, None, key)
                for one in label(series[key], [row]):
                    watcher.write(batch_of(one))

    come(20)
    before = history.state()
    assert [history.watch(key) for key in "abc"] == [True, True, False]
    with pytest.raises(KeyError):
        history.snapshot("c")
    come(10)
    assert history.snapshot("c").head.n == 10
    assert history.roster.get("c").n == 30
    # what a checkpoint knows of is not changed by who looks
    assert set(history.state()["logs"]) == set(before["logs"]) == {"a", "b"}
    assert history.n_left_out == 30


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium with its driver")
def test_a_fleet_in_a_browser():
    machines = Quick(*(f"hall/pump {i}" for i in range(120)))
    machines.run(120 * 10)
    served = PageServer("127.0.0.1:0", "Pumps", machines.history, machines.watcher.parameters)
    with served, browser() as driver:
        address = urllib.parse.urlencode({"key": "hall/pump 77", "find": "pump 7"})
        look(driver, f"{served.url}?{address}")

        def shown():
            script = """
            const texts = {}
            for (const root of Bokeh.documents[0].roots()) { texts[root.name] = root.text }
            return texts
            """
            return driver.execute_script(script)

        texts = until(lambda: (its := shown()) and "of 11" in (its["keys"] or "") and its)
        assert "hall/pump 77" in texts["head"]
        # it is drawn from now on, and said so
        assert "from the moment on" in texts["head"]
        machines.run(120 * 5)
        until(lambda: "<dd>15</dd>" in shown()["head"])
        driver.execute_script(
            "Bokeh.documents[0].get_model_by_name('controls').children[0].value = 'pump 11'"
        )
        until(lambda: "1 to 11 of 11" in shown()["keys"] and "pump 118" in shown()["keys"])


def test_of_a_series_that_has_ended_the_last_segment_is_told():
    machines = Machines("a")
    machines.run(600)
    machines.end()
    its = Standing.of("a", machines.series["a"])
    assert its.n == 600
    assert its.label == machines.series["a"].last_segment.label
