"""The page has times on its axis wherever there are times, whether or not they count otherwise."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from replay.sources.times import Clock

N = 1200
START = datetime(2024, 3, 4, tzinfo=UTC)
SILENCE = 3000
"""Minutes that nothing came."""


def moments(n=N, gap=0, **step):
    """Times at even distances, with a silence after two thirds."""
    step = timedelta(**(step or {"minutes": 1}))
    return [START + i * step + timedelta(minutes=gap * (3 * i >= 2 * n)) for i in range(n)]


@pytest.fixture
def shown(cli, tmp_path, monkeypatch):
    """Write a file, replay it, and return the history that the page draws, and the result."""

    def run(times, *options, command="run", more=""):
        rng = np.random.default_rng(1)
        path = tmp_path / "rows.csv"
        levels = rng.normal(10.0 + 30.0 * (np.arange(len(times)) // 150 % 2), 1.0)
        rows = [f"{t},{x:.2f}{more}\n" for t, x in zip(times, levels, strict=True)]
        path.write_text(
            f"when,flow{',' * len(more[:1]) + 'more' * len(more[:1])}\n" + "".join(rows)
        )
        kept = []
        monkeypatch.setattr(
            "replay.views.page.report.write_report", lambda *given, **named: kept.append(given)
        )
        given = ("--value", "flow", "--time", "when", "--report", tmp_path / "page.html")
        result = cli(command, path, *given, *options)
        assert result.exit_code in (0, 1), result.output
        ((_, _, history, *_, notes),) = kept
        return history.snapshot(""), result.stdout, notes

    return run


FORMS = {
    "%Y-%m-%dT%H:%M:%S": "times are read as they are",
    "%Y-%m-%d %H:%M:%S+00:00": "times are read as they are",
    "%s": "numbers are read as seconds since 1970",
    "%d.%m.%Y %H:%M": "times are read as they are",
    "%Y%m%d%H%M%S": "digits are read as dates",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [N, 12_000])
def test_times_are_drawn_that_are_only_copied(form, n, shown):
    """Of a small file, which is read row by row, and of a larger one, which is cut."""
    its = moments(n, SILENCE)
    times = [f"{t.timestamp():.0f}" if form == "%s" else t.strftime(form) for t in its]
    snapshot, said, notes = shown(times, more="," + "x" * 12)
    assert snapshot.dates
    assert FORMS[form] in said
    assert any(FORMS[form] in note for note in notes)
    x = snapshot.whole.x[0]
    assert {x[0], x[-1]} <= {t.timestamp() for t in its}
    assert np.isin(x, [t.timestamp() for t in its]).all()
    # no point is in the silence
    before = START + timedelta(minutes=2 * n // 3 - 1)
    silence = before.timestamp(), before.timestamp() + 60.0 * SILENCE
    assert not ((x > silence[0]) & (x < silence[1])).any()


def test_the_labels_are_the_same_with_a_page(shown, cli, tmp_path):
    labels = tmp_path / "labels.csv"
    times = [t.isoformat() for t in moments()]
    times[500], times[501] = times[501], times[500]
    shown(times, "--labels", labels)
    with_page = labels.read_bytes()
    labels.unlink()
    given = ("--value", "flow", "--time", "when", "--labels", labels)
    assert cli("run", tmp_path / "rows.csv", *given).exit_code == 0
    assert labels.read_bytes() == with_page


def test_day_and_month_are_told_apart_by_a_later_row(shown):
    snapshot, said, _ = shown([t.strftime("%d/%m/%Y %H:%M") for t in moments(hours=1)])
    assert snapshot.whole.x[0][0] == START.timestamp()
    assert "dates are read as day, month, year, which '13/03/2024 00:00' shows" in said


def test_the_page_counts_rows_where_day_and_month_cannot_be_told_apart(shown):
    times = [t.strftime("%d/%m/%Y %H:%M") for t in moments()]
    snapshot, said, notes = shown(times)
    assert not snapshot.timed
    assert snapshot.whole.x[0][-1] == N
    question = (
        "the page counts rows, as times are not read: '04/03/2024 00:00' may be 04 March 2024 or "
        "03 April 2024; say which with --time-format dmy"
    )
    assert question in said
    assert any(question in note for note in notes)
    snapshot, said, _ = shown(times, "--time-format", "mdy")
    assert snapshot.whole.x[0][0] == datetime(2024, 4, 3, tzinfo=UTC).timestamp()
    assert "the page counts rows" not in said


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ([f"lap {i}" for i in range(N)], "times are not read: 'lap 0' is no time"),
        ([f"{i / 10}" for i in range(N)], "times are not read: '0.0' would be a time before 1971"),
        ([""] * N, "the first rows have no time"),
        ([t.isoformat() for t in moments(N // 2)] * 2, "times go back"),
        (
            [f"{START + timedelta(hours=i // 100):%Y-%m-%d}" for i in range(N)],
            "the same times come again",
        ),
    ],
)
def test_the_page_counts_rows_where_it_cannot_read_times(times, why, shown):
    snapshot, said, _ = shown(times)
    assert not snapshot.timed
    assert f"the page counts rows, as {why}" in said


def test_single_rows_without_a_time_are_where_the_row_before_is(shown):
    times = [t.isoformat() for t in moments()]
    times[0] = times[700] = "soon"
    times[701] = ""
    snapshot, said, _ = shown(times)
    x = snapshot.whole.x[0]
    assert (x[0], x[700], x[701]) == (x[1], x[699], x[699])
    assert "drawn at the time of the row before: 3" in said


def test_rows_of_keys_have_their_times(cli, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        "replay.views.page.report.write_report", lambda *given, **named: kept.append(given)
    )
    path = tmp_path / "rows.csv"
    rows = [f"{t.isoformat()},{key},{i % 7}\n" for i, t in enumerate(moments()) for key in "ab"]
    path.write_text("when,device,flow\n" + "".join(rows))
    given = ("--value", "flow", "--time", "when", "--key", "device")
    result = cli("run", path, *given, "--report", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    for key in "ab":
        trace = kept[0][2].snapshot(key).whole
        assert trace.x[0].tolist() == [t.timestamp() for t in moments()]


def test_a_page_goes_on_after_a_checkpoint_as_it_began(cli, tmp_path, monkeypatch):
    """Also where a later file would be read in another way."""
    kept = []
    monkeypatch.setattr(
        "replay.views.page.report.write_report", lambda *given, **named: kept.append(given)
    )
    times = [t.isoformat() for t in moments(N // 2)]
    for name, its in {"1.csv": times, "2.csv": [f"lap {i}" for i in range(N // 2)]}.items():
        rows = [f"{t},{i % 7}\n" for i, t in enumerate(its)]
        (tmp_path / name).write_text("when,flow\n" + "".join(rows))
    given = ("--value", "flow", "--time", "when", "--report", tmp_path / "page.html")
    checkpoint = ("--checkpoint", tmp_path / "state", "--resume")
    for files in (["1.csv"], ["1.csv", "2.csv"]):
        result = cli("run", *(tmp_path / name for name in files), *given, *checkpoint)
        assert result.exit_code == 0, result.output
    x = kept[-1][2].snapshot("").whole.x[0]
    last = datetime.fromisoformat(times[-1]).replace(tzinfo=UTC).timestamp()
    assert (len(x), x[N // 2], x[-1]) == (N, last, last)


def test_check_has_times_on_its_page(shown):
    snapshot, said, _ = shown([t.isoformat() for t in moments()], "--regimes", 2, command="check")
    assert snapshot.dates
    assert "times are read as they are" in said


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-01T00:00:00", "2024-06-01 00:00:00.123"],
        ["2024-01-01T00:00:00Z", "2024-06-01 00:00:00.123+02:00"],
        ["2024-01-01", "2024-01-02"],
        ["2024-W01-1", "2024-W01-2"],
        ["1700000000.5", "1700000001"],
        ["1700000000", "0"],
        ["1700000000", ""],
        ["2024-01-01 00:00", "2024-01-01T00:00Z"],
        ["03.04.2024 10:00", "04.04.2024 10:00"],
        ["20240101000000", "20240101000001"],
    ],
)
def test_many_times_are_read_as_single_ones_or_not_at_all(texts, zone):
    clock = Clock(None, zone)
    clock.look_at(texts)
    ends = np.cumsum([len(text) for text in texts], dtype=np.int32)
    many = clock.seconds_of("".join(texts).encode(), np.append(np.int32(0), ends))
    if many is not None:
        assert many.tolist() == [clock.seconds(text) for text in texts]
