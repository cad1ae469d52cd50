"""Rising numbers are taken as times where their name, size and steps say so."""

import numpy as np
import pytest

from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.times import Clock

N = 200
RNG = np.random.default_rng(1)
LEVELS = RNG.normal(size=N).round(3)
EVERY_MINUTE = 60 * np.arange(N)
BY_CHANCE = np.cumsum(RNG.integers(1, 1000, N))


def read(path, name, numbers, **reading):
    rows = [f"{x},{y}\n" for x, y in zip(numbers, LEVELS, strict=True)]
    path.write_text((f"{name},load\n" if name is not None else "") + "".join(rows))
    return Files([str(path)], ReadOptions(**reading), Style(header=name is not None))


def seconds(unit, steps=EVERY_MINUTE):
    return (1_700_000_000 + steps) * unit


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("id", 10**18 + BY_CHANCE),
        ("tweet_id", 13 * 10**17 + BY_CHANCE * 10**9),
        ("serial", 1_500_000_000_000 + np.arange(N)),
        ("deviceId", seconds(1)),
        ("total", 1_500_000_000 + BY_CHANCE),
        ("energy_Wh", 1_500_000_000 + BY_CHANCE),
        ("count", 1_500_000_000 + np.arange(N)),
        ("x", 1_500_000_000_000_000_000 + np.arange(N)),
        ("x", seconds(1)[::-1] // 2),
        ("article", 20_019_950 + np.arange(N)),
    ],
)
def test_what_counts_or_names_something_is_no_time(name, numbers, tmp_path):
    source = read(tmp_path / "rows.csv", name, numbers)
    assert (source.time, source.values) == (None, ("load",))


@pytest.mark.parametrize("name", ["time", "ts", "Timestamp", "unix_ms", "epoch", "x", "n", "", "0"])
@pytest.mark.parametrize("unit", [1, 1000, 10**9, 0.001])
def test_times_since_1970_are_times(name, unit, tmp_path):
    numbers = seconds(unit) if unit >= 1 else [f"{t:.3f}" for t in seconds(1.0)]
    assert read(tmp_path / "rows.csv", name, numbers).time == (name or "column 1")
    assert read(tmp_path / "rows.csv", name, numbers[::-1]).time == (name or "column 1")


@pytest.mark.parametrize("name", ["time", "ts", "event_ts", ""])
def test_times_by_their_name_or_without_one_may_have_steps_of_any_length(name, tmp_path):
    numbers = seconds(1, BY_CHANCE)
    assert read(tmp_path / "rows.csv", name, numbers).time == (name or "column 1")
    assert read(tmp_path / "rows.csv", None, numbers).time == "0"


def test_what_may_be_a_time_or_a_count_is_a_question(tmp_path):
    for n in (N, 20):
        numbers = seconds(1, BY_CHANCE)
        source = read(tmp_path / "rows.csv", "x", [*numbers[:n], *[""] * (N - n)])
        assert (source.time, source.values) == (None, ("load",))
        assert source.said[-1] == (
            "left out: 'x' rises, and may be times since 1970 or a count; --value takes it in, "
            "--time x if it is the time"
        )


def test_dates_in_digits_are_times(tmp_path):
    days = np.datetime64("2023-12-01") + np.arange(N)
    numbers = [str(day).replace("-", "") for day in days]
    for name in ("date_id", "day", "x"):
        source = read(tmp_path / "rows.csv", name, numbers, timed=True, clock=Clock())
        assert source.time == name
        assert source.first_times[0] == "20231201"


def test_identifiers_beyond_doubles_are_called_so(tmp_path):
    source = read(tmp_path / "rows.csv", "trip_id", 9 * 10**17 + np.arange(N) // 40)
    assert "left out: 'trip_id' holds identifiers; --value takes it in" in source.said
