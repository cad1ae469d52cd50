"""A replay of a CSV file to labels, beside what it takes only to read the file, and beside river.

``python -m benchmarks.replay``. Rows are labelled before they are learnt, one after the other. The
learner is the mixture of three regimes where nothing else is said.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv
from river import cluster, stream

from benchmarks.report import Bars, Row, Section, at_least, at_most, tell
from benchmarks.timing import Ratio, side_by_side
from online_gmm import OnlineGMM
from replay.cli.options.output import Outputs
from replay.cli.running import replay_source
from replay.engine.loop import MOST_ROWS
from replay.engine.protocols import batches_of
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.files import File
from replay.sinks.labelled import Labels
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

N = 1_000_000
N_ALL_DIGITS = 250_000
N_FOUND = 200_000
"""Rows for the segmenter."""
N_AGAIN = 50_000
"""Rows for the second pass and for pages."""
KEYS = 100
N_RIVER = 20_000
"""Rows that river gets; its time is per row."""
ROUNDS = 3
VALUES = ("pressure", "flow", "heat")


def write_file(path: Path, n: int, decimals: int | None, keys: int = 0) -> None:
    """A time and three values in three regimes that last; None writes all digits there are.

    Keys, if there are any, take turns.
    """
    rng = np.random.default_rng(1)
    begins = np.where(rng.random(n) < 1 / 200, np.arange(n), 0)
    regime = rng.integers(3, size=n)[np.maximum.accumulate(begins)]
    X = rng.normal(size=(n, 3)) + rng.normal(0, 4, (3, 3))[regime]
    if decimals is not None:
        X = X.round(decimals)
    columns = {"time": 1_700_000_000 + np.arange(n), **dict(zip(VALUES, X.T, strict=True))}
    if keys:
        columns["device"] = np.array([f"pump-{i}" for i in range(keys)])[np.arange(n) % keys]
    csv.write_csv(pa.table(columns), path, csv.WriteOptions(quoting_style="none"))


def timed(step: Callable[[], object], n: int = 1) -> Callable[[], float]:
    """A side: seconds that a step takes, a row."""

    def side() -> float:
        begin = time.perf_counter()
        step()
        return (time.perf_counter() - begin) / n

    return side


def options(path: Path, labels: Path) -> list[str]:
    return [
        "run",
        str(path),
        "--learner",
        "mixture",
        "--value",
        ",".join(VALUES),
        "--time",
        "time",
        "--labels",
        str(labels),
    ]


def source_of(path: Path, key: str | None = None) -> Files:
    return Files([str(path)], ReadOptions(VALUES, "time", key=key))


def replayed(
    path: Path,
    labels: Path,
    settings: Settings | None = None,
    *,
    key: str | None = None,
    causal: bool = True,
    report: Path | None = None,
) -> None:
    outputs = Outputs(labels, report=report)
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        replay_source(source_of(path, key), settings or Settings(), outputs, causal=causal)


def by_process(path: Path, labels: Path) -> None:
    command = [sys.executable, "-m", "replay", *options(path, labels)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def by_river(path: Path) -> None:
    model = cluster.KMeans(n_clusters=3, seed=1)
    converters = dict.fromkeys(VALUES, float)
    for i, (x, _) in enumerate(stream.iter_csv(path, converters=converters, drop=["time"])):
        if i == N_RIVER:
            break
        model.predict_one(x)
        model.learn_one(x)


def page_import() -> float:
    """Seconds that the import of what the page needs takes, in a process of its own."""
    script = (
        "import time, replay.cli.running\n"
        "begin = time.perf_counter()\n"
        "import replay.views.page.report\n"
        "print(time.perf_counter() - begin)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return float(done.stdout)


def parts(path: Path, labels: Path) -> dict[str, float]:
    """Seconds of reading, learning and writing, each by itself."""
    seconds = {}
    begin = time.perf_counter()
    batches = list(batches_of(source_of(path), MOST_ROWS))
    seconds["reading"] = time.perf_counter() - begin
    model = OnlineGMM(features=VALUES, seed=1)
    begin = time.perf_counter()
    for batch in batches:
        model.label_then_learn_many(batch.values)
    seconds["learning"] = time.perf_counter() - begin
    series = Series(OnlineGMM(features=VALUES, seed=1).fit_start(batches[0].values[:200]))
    source = source_of(path)
    file = File(labels, "--labels", (), lasting=False)
    sink = Labels(file, source)
    sink.begin()
    labelled = [piece.labelled for batch in batches for piece in series.label(batch)[0]]
    begin = time.perf_counter()
    for its in labelled:
        sink.write(its)
    sink.finish()
    seconds["writing"] = time.perf_counter() - begin
    file.close()
    return seconds


def case(
    folder: Path, n: int, decimals: int | None, name: str
) -> tuple[list[Row], dict[str, Ratio]]:
    path, labels = folder / "rows.csv", folder / "labels.csv"
    write_file(path, n, decimals)
    one_thread = csv.ReadOptions(use_threads=False)
    sides = {
        "pyarrow": timed(lambda: csv.read_csv(path), n),
        "pyarrow, one thread": timed(lambda: csv.read_csv(path, one_thread), n),
        "replay": timed(lambda: replayed(path, labels), n),
        "process": timed(lambda: by_process(path, labels), n),
        "river": timed(lambda: by_river(path), N_RIVER),
    }
    times = side_by_side(sides, ROUNDS)
    ratios = {of: times.ratio(of, "pyarrow") for of in ("replay", "process")}
    beside_river = times.ratio("river", "replay")
    figures = {
        "replay / pyarrow.csv.read_csv of one thread": times.ratio("replay", "pyarrow, one thread"),
        "whole process of replay / pyarrow.csv.read_csv": ratios["process"],
        "river's iter_csv and KMeans / whole process of replay, a row": times.ratio(
            "river", "process"
        ),
    }
    rows = [
        at_most(
            f"{name}: replay / pyarrow.csv.read_csv",
            ratios["replay"].median, 4.0, str(ratios["replay"]),
        ),
        at_least(
            f"{name}: river's iter_csv and KMeans / replay, a row",
            beside_river.median, 20.0, str(beside_river),
        ),
    ]  # fmt: skip
    if n < N:
        # targets are for many rows: the starts of a learner cost the same for few
        rows = [Row(row.what, row.figure) for row in rows]
    rows += [Row(f"{name}: {what}", str(ratio)) for what, ratio in figures.items()]
    shares = [parts(path, labels) for _ in range(3)]
    whole = [sum(its.values()) for its in shares]
    for part in shares[0]:
        share = [its[part] / total for its, total in zip(shares, whole, strict=True)]
        text = f"{np.median(share):.0%} ({min(share):.0%} to {max(share):.0%})"
        rows.append(Row(f"{name}: share of {part}", text))
    overlap = np.median(whole) / n / times.median("replay")
    rows.append(Row(f"{name}: the three one after the other / replay", f"{overlap:.3g}"))
    return rows, {"river": times.ratio("river", "pyarrow"), **ratios}


def others(folder: Path) -> list[Row]:
    """The segmenter, keys and a page, each in this process."""
    path, keyed, labels = folder / "rows.csv", folder / "keyed.csv", folder / "labels.csv"
    write_file(path, N_FOUND, 4)
    write_file(keyed, N, 4, KEYS)
    finds = Settings(finds=True)
    sides = {
        "pyarrow": timed(lambda: csv.read_csv(path)),
        "pyarrow, keyed": timed(lambda: csv.read_csv(keyed)),
        "keys": timed(lambda: replayed(keyed, labels, key="device")),
        "segmenter": timed(lambda: replayed(path, labels, finds)),
    }
    times = side_by_side(sides, ROUNDS)
    keys, found = times.ratio("keys", "pyarrow, keyed"), times.ratio("segmenter", "pyarrow")
    write_file(path, N_AGAIN, 4)
    sides = {
        "mixture": timed(lambda: replayed(path, labels)),
        "report": timed(lambda: replayed(path, labels, report=folder / "page.html")),
        "segmenter": timed(lambda: replayed(path, labels, finds)),
        "second pass": timed(lambda: replayed(path, labels, finds, causal=False)),
    }
    times = side_by_side(sides, ROUNDS)
    report, again = times.ratio("report", "mixture"), times.ratio("second pass", "segmenter")
    imported = np.median([page_import() for _ in range(ROUNDS)]) / times.median("mixture")
    write_file(path, N, 4)
    sides = {
        "mixture": timed(lambda: replayed(path, labels)),
        "report": timed(lambda: replayed(path, labels, report=folder / "page.html")),
    }
    whole = side_by_side(sides, ROUNDS).ratio("report", "mixture")
    fewer = f"{N_AGAIN:,} rows"
    return [
        at_most(f"{N:,} rows of {KEYS} keys / pyarrow.csv.read_csv", keys.median, 8.0, str(keys)),
        at_most(
            f"{N_FOUND:,} rows, segmenter, --causal / pyarrow.csv.read_csv",
            found.median,
            8.0,
            str(found),
        ),
        Row(f"{fewer}, segmenter: with its second pass / --causal", str(again)),
        at_most(f"{N:,} rows: with --report / without", whole.median, 1.2, str(whole)),
        Row(f"{fewer}: with --report / without", str(report)),
        Row(f"import of what a page needs / {fewer} without it", f"{imported:.3g}"),
    ]


def run() -> Section:
    with tempfile.TemporaryDirectory() as name:
        rows, ratios = case(Path(name), N, 4, f"{N:,} rows of 4 decimals")
        more, _ = case(Path(name), N_ALL_DIGITS, None, f"{N_ALL_DIGITS:,} rows of all digits")
        more += others(Path(name))
    text = (
        "A CSV file of a time and three values to a file of labels, 3 regimes, all else by "
        "default. `replay` is in this process, with all imported; the whole process starts Python "
        f"and imports. river gets the first {N_RIVER:,} rows. Medians; in brackets the least and "
        f"the most of {ROUNDS} rounds. Reading and writing go on in threads beside the learning: "
        "shares are of the three one after the other. pyarrow reads with "
        f"{pa.cpu_count()} threads, fewer where OMP_NUM_THREADS says so."
    )
    bars = Bars(
        "A row of CSV, labelled and learnt",
        "times pyarrow's reading",
        {
            "pyarrow, only read": 1.0,
            "replay": ratios["replay"].median,
            "replay, whole process": ratios["process"].median,
            "river iter_csv + KMeans": ratios["river"].median,
        },
    )
    return Section("Replay", [*rows, *more], text, [bars])


if __name__ == "__main__":
    tell(run)
