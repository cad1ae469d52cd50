"""What regimes cost: hours, starts and integrals, against sums that pandas makes of the labels."""

import datetime
import json
import zoneinfo
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from replay.cli.app import app
from replay.engine.costs import DAYS_KEPT, Costs

BERLIN = "Europe/Berlin"
START = datetime.datetime(2026, 3, 27, 20, tzinfo=datetime.UTC)


@pytest.fixture
def rows(tmp_path):
    """Two pumps at irregular times over the end of winter time, with a gap and missing values."""
    rng = np.random.default_rng(4)
    lines, seconds = ["when,pump,power,flow"], 0.0
    for i in range(2000):
        seconds += rng.uniform(40.0, 160.0)
        seconds += 7200.0 * (i == 1250)
        level = (0.1, 1.5, 3.0)[i // 80 % 3]
        power = "" if i % 211 == 7 else f"{level + 0.05 * rng.normal():.4f}"
        when = START + datetime.timedelta(seconds=seconds)
        lines.append(
            f"{when.isoformat()},{'ab'[i % 3 == 0]},{power},{3 * level + rng.normal():.3f}"
        )
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def by_pandas(labels, max_gap, zone):
    """Hours, starts and integrals by key, day and label: pieces of time that end at midnight."""
    pieces = []
    for key, its in labels.groupby("pump"):
        when = pd.to_datetime(its["when"], format="ISO8601", utc=True)
        local = when.dt.tz_convert(zone)
        midnights = pd.date_range(local.iloc[0].normalize(), local.iloc[-1], freq="D", tz=zone)[1:]
        marks = pd.concat([local, pd.Series(midnights)]).drop_duplicates().sort_values()
        table = its[["label", "power", "flow"]].set_axis(pd.DatetimeIndex(local))
        held = table.reindex(pd.DatetimeIndex(marks), method="ffill")
        held["from"] = table.index.to_series().reindex(held.index, method="ffill")
        held["hours"] = held.index.to_series().diff().shift(-1).dt.total_seconds() / 3600
        gaps = local.diff().dt.total_seconds() > max_gap
        before_gap = local.shift(1)[gaps]
        held = held[~held["from"].isin(before_gap)]
        held["key"], held["day"] = key, held.index.strftime("%Y-%m-%d")
        pieces.append(held)
    held = pd.concat(pieces)
    for name in ("power", "flow"):
        held[f"{name}_hours"] = held[name] * held["hours"]
        held[f"{name}_missing_hours"] = held["hours"].where(held[name].isna(), 0.0)
    return held


def replayed(cli, rows, folder, *more):
    folder.mkdir(exist_ok=True)
    done = cli(
        *("run", rows, "--value", "power,flow", "--time", "when", "--key", "pump"),
        *("--integrate", "power,flow", "--costs", folder / "costs.csv"),
        *("--labels", folder / "labels.csv", *more),
    )
    assert done.exit_code == 0, done.output
    return done.output


COLUMNS = [
    *("hours", "power_hours", "power_missing_hours", "flow_hours", "flow_missing_hours"),
]


@pytest.mark.parametrize("learner", ["mixture", "segmenter"])
def test_hours_and_integrals_are_those_of_a_plain_sum(learner, cli, rows, tmp_path):
    """By key, day (one of 23 hours) and regime, to 1e-9."""
    more = ("--max-gap", 3600, "--time-zone", BERLIN, "--learner", learner)
    output = replayed(cli, rows, tmp_path / "out", *more)
    found = pd.read_csv(tmp_path / "out" / "costs.csv").set_index(["key", "day", "label"])
    labels = pd.read_csv(tmp_path / "out" / "labels.csv")
    expected = by_pandas(labels, 3600.0, BERLIN).groupby(["key", "day", "label"])[COLUMNS].sum()
    assert "2026-03-29" in found.index.get_level_values("day")
    expected = expected.add_suffix("_expected")
    joined = found[COLUMNS].join(expected, how="outer").fillna(0.0)
    assert len(joined) == len(found) >= 8
    for name in COLUMNS:
        difference = (joined[name] - joined[f"{name}_expected"]).abs()
        assert (difference <= 1e-9 * joined[name].abs().clip(lower=1.0)).all(), name
    # the day on which the clock goes forward has 23 hours, and only gaps are missing from the sum
    day = found.loc[(slice(None), "2026-03-28", slice(None)), "hours"].groupby("key").sum()
    assert day.to_numpy() == pytest.approx(24.0, abs=1e-9)
    day = found.loc[("a", "2026-03-29", slice(None)), "hours"].sum()
    assert day == pytest.approx(23.0 - _gap_on(labels, "a", "2026-03-29"), abs=1e-9)
    starts = (labels.groupby("pump")["label"].diff() != 0).sum()
    assert found["starts"].sum() == starts + 2
    assert "power was missing in" in output
    assert "hours of gaps are in no regime" in " ".join(output.split())


def _gap_on(labels, key, day):
    when = pd.to_datetime(labels.loc[labels["pump"] == key, "when"], format="ISO8601", utc=True)
    steps = when.diff().dt.total_seconds()
    is_that_day = when.dt.tz_convert(BERLIN).dt.strftime("%Y-%m-%d") == day
    return steps[(steps > 3600.0) & is_that_day].sum() / 3600.0


def test_without_times_rows_are_summed(cli, rows, tmp_path):
    done = cli(
        *("run", rows, "--value", "power,flow", "--key", "pump", "--integrate", "power"),
        *("--costs", tmp_path / "costs.csv", "--labels", tmp_path / "labels.csv"),
    )
    assert done.exit_code == 0, done.output
    found = pd.read_csv(tmp_path / "costs.csv").set_index(["key", "label"]).sort_index()
    labels = pd.read_csv(tmp_path / "labels.csv").groupby(["pump", "label"])["power"]
    assert list(found["rows"]) == list(labels.size())
    assert found["power_sum"].to_numpy() == pytest.approx(labels.sum().to_numpy(), rel=1e-12)
    assert found["power_missing_rows"].sum() == pd.read_csv(rows)["power"].isna().sum()


def test_a_summary_as_json_has_the_sums_of_the_days(cli, rows, tmp_path):
    replayed(cli, rows, tmp_path / "out")
    done = cli(
        *("run", rows, "--value", "power,flow", "--time", "when", "--key", "pump"),
        *("--integrate", "power", "--costs", tmp_path / "costs.json"),
    )
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "costs.json").read_text())
    assert (told["length"], told["units"]) == ("hours", {"power": "power x hours"})
    lines = pd.read_csv(tmp_path / "out" / "costs.csv").groupby(["key", "label"])
    for series in told["series"]:
        for regime in series["regimes"]:
            its = lines.get_group((series["key"], regime["label"]))
            assert regime["hours"] == pytest.approx(its["hours"].sum(), rel=1e-12)
            assert regime["integrals"]["power"] == pytest.approx(its["power_hours"].sum(), rel=1e-9)
            assert regime["starts"] == its["starts"].sum()
        assert {day["day"] for day in series["days"]} == set(
            lines.obj.loc[lines.obj["key"] == series["key"], "day"]
        )


@pytest.mark.parametrize("more", [(), ("--max-keys", 1), ("--persist", "--lag", 5)])
def test_it_goes_on_from_a_checkpoint_byte_for_byte(more, cli, rows, tmp_path):
    text = rows.read_text().splitlines(keepends=True)
    # a checkpoint adds up in batches of 150 rows, and the whole in one go
    every = ("--every-rows", 150, "--time-zone", BERLIN, *more)
    replayed(cli, rows, tmp_path / "whole", "--checkpoint", tmp_path / "one", *more, *every[2:4])
    for n in (350, 1300, len(text)):
        rows.write_text("".join(text[:n]))
        replayed(
            *(cli, rows, tmp_path / "parts", "--checkpoint", tmp_path / "two", "--resume"),
            *every,
        )
    for name in ("costs.csv", "labels.csv"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_channel_than_at_the_checkpoint_is_refused(cli, rows, tmp_path):
    replayed(cli, rows, tmp_path / "out", "--checkpoint", tmp_path / "state")
    done = cli(
        *("run", rows, "--value", "power,flow", "--time", "when", "--key", "pump"),
        *("--integrate", "power", "--costs", tmp_path / "out" / "costs.csv"),
        *("--labels", tmp_path / "out" / "labels.csv"),
        *("--checkpoint", tmp_path / "state", "--resume"),
    )
    assert done.exit_code == 2
    assert "--integrate is ['power'] and was ['power,flow']" in " ".join(done.output.split())


def test_live_rows_have_costs_when_the_day_has_ended(monkeypatch):
    told = [
        json.dumps({"t": f"2026-03-0{day}T{hour:02}:00:00Z", "power": hour // 12 + 1.0})
        for day in (1, 2)
        for hour in range(24)
    ]
    Path("messages").write_text("\n".join(told) + "\n")
    with Path("messages").open() as messages:
        monkeypatch.setattr("sys.stdin", messages)
        app(
            [
                *("live", "-", "--value", "power", "--time", "t", "--regimes", "2"),
                *("--warm-up", "12", "--integrate", "power", "--costs", "costs.csv"),
                *("--labels", "labels.ndjson"),
            ],
            standalone_mode=False,
        )
    found = pd.read_csv("costs.csv")
    assert found.groupby("day")["power_hours"].sum().to_dict() == {
        # the last value lasts for ever
        "2026-03-01": 36.0,
        "2026-03-02": 34.0,
    }


def test_a_column_that_is_not_there_is_named(cli, rows):
    done = cli("run", rows, "--value", "power,flow", "--integrate", "powr")
    assert done.exit_code == 2
    assert "--integrate 'powr': there is no such column" in done.output
    assert "did you mean 'power'?" in " ".join(done.output.split())


def test_the_report_shows_them(cli, rows, tmp_path):
    replayed(cli, rows, tmp_path / "out", "--report", tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "What regimes cost" in html
    assert "power x hours" in html
    done = cli("run", rows, "--value", "power", "--report", tmp_path / "plain.html")
    assert done.exit_code == 0, done.output
    assert "What regimes cost" not in (tmp_path / "plain.html").read_text()


# -- one key --------------------------------------------------------------------------------------


def added(costs, *rows):
    return [ended for row in rows for ended in costs.add(*row)]


def test_days_before_the_last_ones_stay_in_the_sums():
    costs = Costs(["power"], True)
    first = START.timestamp()
    for i in range(24 * 50):
        costs.add(i % 2, first + 3600.0 * i, START.isoformat(), [2.0])
    assert len(costs.days()) == DAYS_KEPT + 1
    assert sum(cost.length for cost in costs.total()) == 24 * 50 - 1
    assert sum(cost.integrals[0] for cost in costs.total()) == 2.0 * (24 * 50 - 1)


def test_a_clock_that_jumps_is_no_cost():
    costs = Costs(["power"], True)
    late = START.timestamp()
    ended = added(costs, (0, 60.0, "1970-01-01T00:01", [1.0]), (0, late, "", [1.0]))
    assert [day for day, _ in ended] == ["1970-01-01"]
    assert costs.gap == late - 60.0
    assert sum(cost.length for cost in costs.total()) == 0.0
    # times that no calendar has are no days
    costs = Costs([], True)
    assert added(costs, (0, 1e300, "far", []), (0, 2e300, "far", [])) == []
    assert costs.days() == [("", costs.total())]


def test_numbers_that_are_no_dates_have_no_days():
    costs = Costs(["power"], True)
    assert added(costs, *((0, 3600.0 * i, str(3600 * i), [1.0]) for i in range(100))) == []
    (cost,) = costs.total()
    assert (cost.length, cost.starts, cost.integrals) == (99.0, 1, (99.0,))


def test_a_late_row_that_is_learnt_counts_no_time_twice():
    costs = Costs(["power"], True)
    added(costs, (0, 0.0, "0", [1.0]), (0, 7200.0, "", [5.0]), (1, 3600.0, "", [9.0]))
    added(costs, (0, 10800.0, "", [1.0]))
    assert [(cost.label, cost.length, cost.integrals) for cost in costs.total()] == [
        (0, 3.0, (1.0 * 2 + 5.0,))
    ]
    assert costs.n_late == 1


def test_states_are_read_back():
    zone = zoneinfo.ZoneInfo(BERLIN)
    costs = Costs(["power", "flow"], True, zone, 4000.0)
    first = START.timestamp()
    rows = [(i // 7 % 2, first + 3000.0 * i, START.isoformat(), [1.0, np.nan]) for i in range(80)]
    added(costs, *rows[:50])
    again = Costs.of(msgspec.msgpack.decode(msgspec.msgpack.encode(costs.state())))
    again.zone = zone
    assert added(again, *rows[50:]) == added(costs, *rows[50:])
    assert repr(again.state()) == repr(costs.state())
