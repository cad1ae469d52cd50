"""The picture of --plot has times on its axis wherever there are times."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from replay.views import plot
from replay.views.plot import DAY

START = datetime(2024, 3, 4, tzinfo=UTC)
STAY = 150
SILENCE = timedelta(days=2)


def moments(n, silent_from):
    """A time each minute, with a silence before a row."""
    return [START + timedelta(minutes=i) + SILENCE * (i >= silent_from) for i in range(n)]


@pytest.fixture
def drawn(cli, tmp_path, monkeypatch):
    """Write a file, replay it, and return the picture, its data, and what was printed."""

    def run(times, *options):
        rng = np.random.default_rng(1)
        path = tmp_path / "rows.csv"
        levels = rng.normal(10.0 + 30.0 * (np.arange(len(times)) // STAY % 2), 1.0)
        rows = [f"{t},{x:.2f}\n" for t, x in zip(times, levels, strict=True)]
        path.write_text("when,flow\n" + "".join(rows))
        kept = []
        monkeypatch.setattr("replay.views.plot.draw_series", lambda *given: kept.append(given[0]))
        picture = tmp_path / "series.png"
        given = ("--learner", "segmenter", "--value", "flow", "--time", "when", "--plot", picture)
        result = cli("run", path, *given, *options)
        assert result.exit_code == 0, result.output
        (picture,) = kept
        return picture, picture.figures(1, None).data, result.stdout

    return run


@pytest.mark.parametrize("n", [1200, 12_000])
@pytest.mark.parametrize("options", [(), ("--causal",), ("--max-gap", "1h")])
def test_segments_begin_where_their_first_row_is(n, options, drawn):
    silent_from = n // 2 // STAY * STAY
    times = moments(n, silent_from)
    days = np.array([t.timestamp() for t in times]) / DAY
    picture, data, said = drawn([t.isoformat() for t in times], *options)
    assert picture.sample.is_dated
    assert "times are read as they are" in said
    assert "counts rows" not in said
    bands = data["whole bands"]
    starts = np.array([segment.start[0] for segment in picture.bands.segments])
    ends = np.array([segment.end[0] for segment in picture.bands.segments])
    assert silent_from + 1 in starts
    # rows between two that are kept are put between them: half a minute at most
    assert bands["x0"] == pytest.approx(days[starts - 1], rel=0.0, abs=30.0 / DAY)
    after = np.minimum(ends, n - 1)
    assert bands["x1"] == pytest.approx(
        np.where(ends == silent_from, days[ends - 1], days[after]), rel=0.0, abs=30.0 / DAY
    )
    # no line and no point in the silence
    line = data["whole 0"]
    before = np.asarray(line["x1"]) <= days[silent_from - 1] + 1e-9
    assert np.isin(np.asarray(line["x0"])[~before] >= days[silent_from] - 1e-9, True).all()


def test_rows_are_counted_where_times_cannot_be_read(drawn):
    times = [f"lap {i}" for i in range(1200)]
    picture, data, said = drawn(times)
    assert "the picture counts rows, as times are not read: 'lap 0' is no time" in said
    assert not picture.sample.is_timed
    bands = data["whole bands"]
    assert bands["x0"][0] == 0.5
    assert bands["x1"][-1] == 1200.5


def test_seconds_since_a_start_are_no_dates(drawn):
    picture, data, _ = drawn([f"{60.0 * i + 7.0}" for i in range(1200)], "--time-format", "s")
    assert picture.sample.is_timed
    assert not picture.sample.is_dated
    assert data["whole bands"]["x0"][0] == 7.0
    assert data["whole bands"]["x1"][-1] == 60.0 * 1199 + 7.0


def test_what_is_said_of_times_is_said_once(drawn, tmp_path):
    times = [t.isoformat() for t in moments(1200, 600)]
    _, _, said = drawn(times, "--report", tmp_path / "page.html")
    assert said.count("times are read as they are") == 1


def test_axes_show_the_time_of_the_zone(cli, tmp_path, monkeypatch):
    labels = []
    told = plot._label_x

    def told_too(axes, *rest):
        told(axes, *rest)
        labels.append(axes.get_xlabel())

    monkeypatch.setattr(plot, "_label_x", told_too)
    path = tmp_path / "night.csv"
    first = datetime(2024, 10, 26, 20, tzinfo=UTC)
    times = [first + timedelta(minutes=5 * i) for i in range(120)]
    path.write_text(
        "time,level\n"
        + "".join(
            f"{time:%Y-%m-%d %H:%M}Z,{i // 40 % 2 * 9 + i % 7}\n" for i, time in enumerate(times)
        )
    )
    out = ("--report", tmp_path / "page.html", "--plot", tmp_path / "series.png")
    result = cli("run", path, "--time", "time", "--regimes", 2, "--warm-up", 20, *out)
    assert result.exit_code == 0, result.output
    assert '"time, UTC"' in (tmp_path / "page.html").read_text()
    zoned = cli(
        *("run", path, "--time", "time", "--regimes", 2, "--warm-up", 20, *out),
        *("--time-zone", "Europe/Berlin"),
    )
    assert zoned.exit_code == 0, zoned.output
    assert '"time, Europe/Berlin"' in (tmp_path / "page.html").read_text()
    assert labels == ["time, UTC", "time, Europe/Berlin (+02:00, then +01:00)"]


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%MZ", "%d.%m.%Y %H:%M +0000", "%s"])
def test_tables_show_the_time_of_the_zone_as_the_axes_do(form, cli, tmp_path):
    """Where that is not what is written; files have it as it is written."""
    path = tmp_path / "night.csv"
    first = datetime(2024, 10, 26, 20, 20, tzinfo=UTC)
    times = [first + timedelta(minutes=2 * i) for i in range(240)]
    levels = np.random.default_rng(1).normal(np.repeat([40.0, 2.0, 40.0], 80))
    written = [f"{t.timestamp():.0f}" if form == "%s" else t.strftime(form) for t in times]
    path.write_text(
        "time,level\n" + "".join(f"{t},{x:.2f}\n" for t, x in zip(written, levels, strict=True))
    )
    page, segments = tmp_path / "page.html", tmp_path / "segments.csv"
    run = ("run", path, "--learner", "segmenter", "--time-zone", "Europe/Berlin")
    result = cli(*run, "--report", page, "--segments", segments)
    assert result.exit_code == 0, result.output
    for i, local in ((80, "2024-10-27 01:00:00+02:00"), (160, "2024-10-27 02:40:00+01:00")):
        assert f"{written[i]} ({local})" in result.stdout
        assert f"{written[i]} ({local})" in page.read_text(encoding="utf-8")
        assert f"\n{written[i]}," in segments.read_text(encoding="utf-8")
    assert f"since row 161, {written[160]} (2024-10-27 02:40:00+01:00)" in result.stdout


def test_times_of_the_zone_are_shown_as_they_are_written(cli, tmp_path):
    path = tmp_path / "day.csv"
    levels = np.random.default_rng(1).normal(np.repeat([40.0, 2.0], 60))
    for end in ("", "+01:00"):
        path.write_text(
            "time,level\n"
            + "".join(
                f"2024-01-{2 + i // 24:02d}T{i % 24:02d}:00{end},{x:.2f}\n"
                for i, x in enumerate(levels)
            )
        )
        result = cli("run", path, "--learner", "segmenter", "--time-zone", "Europe/Berlin")
        assert f"since row 61, 2024-01-04T12:00{end}\n" in result.stdout


def test_day_numbers_of_a_spreadsheet_are_shown_with_their_dates(cli, tmp_path):
    path = tmp_path / "day.csv"
    levels = np.random.default_rng(1).normal(np.repeat([40.0, 2.0], 60))
    path.write_text(
        "time,level\n" + "".join(f"{45_292 + i / 24:.5f},{x:.2f}\n" for i, x in enumerate(levels))
    )
    told = ("--time", "time", "--time-format", "excel")
    result = cli("run", path, "--learner", "segmenter", *told)
    assert "since row 61, 45294.50000 (2024-01-03 12:00:00 UTC)\n" in result.stdout
