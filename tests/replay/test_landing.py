"""Rows that land: each at least once, whole and on disk before it is acknowledged."""

import io
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from processes import Forked

from replay.cli.landing import Lander
from replay.engine.batch import Batch
from replay.engine.rows import InputError, OutputError, Row
from replay.sinks.landing_folder import Folder, Landing
from replay.sinks.refusals import Refusals
from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions

CRASH = Path(__file__).with_name("crash.py")
VALUES = ("level", "motor.load")


def row_of(n, **told):
    values = {"level": n / 8, "motor.load": math.nan if n % 3 else -n / 4}
    return Row(n, "", ("", ""), values, **{"seconds": 1e9 + n, "sequence": n, "key": "a"} | told)


def read(folder):
    """What an engine finds: the rows of all files, in the order of their names."""
    files = sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
    return [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]


def sequences(folder):
    return [row["sequence"] for row in read(folder)]


class Sender:
    """Sends what is not acknowledged again to whoever asks next, as a broker does; a `Source`."""

    name, files, values, time, key, timed = "here", (), VALUES, "t", "k", True
    done, size, position = 0, None, {}

    def __init__(self, rows, window=math.inf):
        self.kept = list(rows)
        self.sent = 0
        self.window = window
        self.acknowledged = []
        self.on_acknowledge = lambda rows: None
        self.said = ["numbers are read as seconds"]
        self.is_stopping = False

    def next_batch(self, at_most):
        if self.sent == len(self.kept) or self.is_stopping:
            return None
        row = self.kept[self.sent]
        if isinstance(row, Exception):
            raise row
        self.sent += 1
        row = row() if callable(row) else row
        return Batch.of_rows([] if row is None else [row], VALUES)

    def stop(self):
        self.is_stopping = True

    @property
    def wants_acknowledgement(self):
        return self.sent >= self.window

    def acknowledge(self):
        rows = [row for row in self.kept[: self.sent] if isinstance(row, Row)]
        self.on_acknowledge(rows)
        self.acknowledged.append(len(rows))
        del self.kept[: self.sent]
        self.sent = 0

    def close(self):
        """Nothing."""


@pytest.fixture
def landing(tmp_path):
    """A landing of some rows in the folder `landed`."""
    opened = []

    def make(source, rows=1000, seconds=1000.0, refusals=None):
        while opened:
            opened.pop().close()
        source.sent = 0
        opened.append(Folder(tmp_path / "landed"))
        return Lander(source, opened[0], refusals or Refusals(), rows, seconds)

    yield make
    while opened:
        opened.pop().close()


# -- batches --------------------------------------------------------------------------------------


def test_what_is_in_a_file(landing, tmp_path):
    rows = [row_of(1), row_of(3), Row(9, "noon", ("1", ""), {"level": 1.0, "motor.load": math.nan})]
    landing(Sender(rows)).run()
    (path,) = (tmp_path / "landed").iterdir()
    assert re.fullmatch(r"\d{18}\.parquet", path.name)
    assert pq.read_schema(path).remove_metadata() == pa.schema(
        {
            "key": pa.string(),
            "time": pa.float64(),
            "sequence": pa.int64(),
            "level": pa.float64(),
            "motor.load": pa.float64(),
        }
    )
    assert read(tmp_path / "landed") == [
        {"key": "a", "time": 1e9 + 1, "sequence": 1, "level": 0.125, "motor.load": None},
        {"key": "a", "time": 1e9 + 3, "sequence": 3, "level": 0.375, "motor.load": -0.75},
        {"key": "", "time": None, "sequence": None, "level": 1.0, "motor.load": None},
    ]


def test_columns_of_nothing_but_missing_values_keep_their_types():
    landing = Landing(VALUES)
    landing.add(Batch.of_rows([Row(1, "", ("", ""), dict.fromkeys(VALUES, math.nan))]))
    table = pq.read_table(io.BytesIO(landing.take()))
    assert [field.type for field in table.schema][1:] == [
        pa.float64(),
        pa.int64(),
        pa.float64(),
        pa.float64(),
    ]
    assert len(landing) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("level", "time"), "'time' is also the name of a column"),
        (("level", "level"), "'level' is given twice"),
    ],
)
def test_columns_of_one_name(values, said):
    with pytest.raises(InputError, match=said):
        Landing(values)


def test_batches_are_closed_by_rows(landing, tmp_path):
    source = Sender(map(row_of, range(25)))
    its = landing(source, rows=10)
    its.run()
    assert source.acknowledged == [10, 10, 5]
    assert (its.n_rows, its.n_files) == (25, 3)
    assert sequences(tmp_path / "landed") == list(range(25))
    files = sorted((tmp_path / "landed").iterdir())
    assert [pq.read_metadata(path).num_rows for path in files] == [10, 10, 5]


@pytest.fixture
def at(monkeypatch):
    """Lets a row, or nothing, come at a time."""
    now = 0.0
    monkeypatch.setattr("replay.cli.landing.time.monotonic", lambda: now)

    def make(seconds, row=None):
        def come():
            nonlocal now
            now = seconds
            return row

        return come

    return make


def batches(folder):
    """The numbers in each file."""
    files = sorted(Path(folder).iterdir())
    return [pq.ParquetFile(path).read()["sequence"].to_pylist() for path in files]


def test_batches_are_closed_by_time(landing, tmp_path, at):
    # the clock starts with the first row of a batch, and ends it whether rows come or not
    source = Sender(
        [
            *(at(7.0), at(8.0, row_of(0)), at(12.0, row_of(1)), at(12.9), at(13.0), at(20.0)),
            *(at(21.0, row_of(2)), at(25.9, row_of(3)), at(26.5, row_of(4)), at(27.0, row_of(5))),
        ]
    )
    landing(source, seconds=5.0).run()
    assert batches(tmp_path / "landed") == [[0, 1], [2, 3, 4], [5]]


def test_a_sender_that_waits_for_an_acknowledgement_gets_it(landing, tmp_path):
    source = Sender(map(row_of, range(25)), window=4)
    landing(source).run()
    assert source.kept == []
    assert len(list((tmp_path / "landed").iterdir())) == 7
    assert sequences(tmp_path / "landed") == list(range(25))


class Line(Sender):
    """A sender with a clock of its own: it says nothing, a tenth of a second long, in each pause
    and whenever ``limit`` rows are not acknowledged; and from outside one cannot tell which."""

    def __init__(self, bursts, pause, limit=math.inf):
        super().__init__(map(row_of, range(sum(bursts))))
        self.ends = set(accumulate(bursts))
        self.pause, self.limit = pause, limit
        self.now = self.until = 0.0
        self.n = 0
        self.is_silent = False

    def monotonic(self):
        return self.now

    def silence(self):
        self.is_silent = True
        self.now += 0.1

    def next_batch(self, at_most):
        if self.now < self.until or (self.kept[self.sent :] and self.sent >= self.limit):
            self.silence()
            return Batch.of_rows([], VALUES)
        if not self.kept[self.sent :]:
            return None
        self.is_silent = False
        self.now += 0.001
        self.sent += 1
        self.n += 1
        if self.n in self.ends:
            self.until = self.now + self.pause
        return Batch.of_rows([self.kept[self.sent - 1]])

    @property
    def wants_acknowledgement(self):
        return self.is_silent and self.sent >= 10


def test_rows_that_come_in_bursts_are_not_a_file_each(landing, tmp_path, monkeypatch):
    line = Line([10] * 60, pause=0.9)
    monkeypatch.setattr("replay.cli.landing.time", line)
    landing(line, seconds=5.0).run()
    found = batches(tmp_path / "landed")
    assert [n for batch in found for n in batch] == list(range(600))
    assert len(found) < 60 / 5 + 5


def test_a_sender_that_waits_is_not_taken_to_have_nothing_to_send(landing, tmp_path, monkeypatch):
    """Not for long, that is, after bursts that looked the same."""
    line = Line([10] * 30 + [2000], pause=0.9, limit=20)
    monkeypatch.setattr("replay.cli.landing.time", line)
    landing(line, seconds=5.0).run()
    assert sequences(tmp_path / "landed") == list(range(2300))
    # a tenth of a second for each twenty of the 2,000, but for the first ones
    bursts = 30 * 0.91 + 2.0 + 0.9
    assert line.now < bursts + 100 * 0.1 + 2 * 5.0 + 1.0


def test_what_came_before_a_bad_row_lands(landing, tmp_path):
    source = Sender([row_of(0), row_of(1), InputError("bad"), row_of(2)])
    with pytest.raises(InputError, match="bad"):
        landing(source).run()
    assert sequences(tmp_path / "landed") == [0, 1]
    assert len(source.kept) == 2


# -- on disk, and then acknowledged ---------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch):
    """What is done to files, one step after the other; `stop_at` ends it all before a step."""

    class Steps(list):
        stop_at = None

        def note(self, what):
            if len(self) == self.stop_at:
                raise KilledError
            self.append(what)

    noted = Steps()
    fsync, rename = os.fsync, os.replace

    def fsync_noted(handle):
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        noted.note(f"fsync {path.name}")
        if path.name.endswith(".part"):
            # all of it is there to be put on disk
            assert pq.ParquetFile(path).read().num_rows > 0
        fsync(handle)

    def rename_noted(old, new, **options):
        noted.note(f"rename {Path(old).name} {Path(new).name}")
        rename(old, new, **options)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    monkeypatch.setattr(os, "replace", rename_noted)
    return noted


class KilledError(BaseException):
    """The end, as nothing that is caught."""


def test_a_batch_is_on_disk_before_it_is_acknowledged(landing, steps, tmp_path):
    refused = tmp_path / "refused.csv"
    refusals = Refusals(refused, lasting=True)
    refusals.open(())
    refusals.go_on()

    def refuse():
        refusals.add("here", 1, "bad", "x")

    source = Sender([row_of(0), refuse, row_of(1), row_of(2), refuse])
    source.on_acknowledge = lambda rows: steps.note(f"acknowledge {[row.sequence for row in rows]}")
    its = landing(source, rows=2, refusals=refusals)
    del steps[:]
    its.run()
    refusals.close()
    names = sorted(path.name for path in (tmp_path / "landed").iterdir())
    one, two = names
    assert steps == [
        f"fsync .{one}.part",
        f"rename .{one}.part {one}",
        "fsync landed",
        "fsync refused.csv",
        "acknowledge [0, 1]",
        f"fsync .{two}.part",
        f"rename .{two}.part {two}",
        "fsync landed",
        "fsync refused.csv",
        "acknowledge [2]",
    ]
    assert len(refused.read_text().splitlines()) == 3


@pytest.mark.parametrize("stop_at", range(13))
def test_a_stop_before_any_step_loses_nothing(stop_at, landing, steps, tmp_path):
    landed = tmp_path / "landed"
    source = Sender(map(row_of, range(20)))

    def on_acknowledge(rows):
        steps.note("acknowledge")
        assert {row.sequence for row in rows} <= set(sequences(landed))

    source.on_acknowledge = on_acknowledge
    first = landing(source, rows=5)
    del steps[:]
    steps.stop_at = stop_at
    with pytest.raises(KilledError):
        first.run()
    steps.stop_at = None
    n_before = len(sequences(landed))
    landing(source, rows=7).run()
    found = sequences(landed)
    assert set(found) == set(range(20))
    # one batch at most lands twice: that which was killed between its name and its acknowledgement
    twice = [n for n, times in Counter(found).items() if times > 1]
    between = stop_at % 4 in (2, 3)
    assert twice == (list(range(n_before - 5, n_before)) if between else [])
    assert len(found) == 20 + len(twice)
    assert not [path for path in landed.iterdir() if path.name.startswith(".")]


def test_what_cannot_be_written_is_not_acknowledged(landing, tmp_path, monkeypatch):
    source = Sender(map(row_of, range(10)))
    its = landing(source, rows=5)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="a batch cannot be written: No space left on device"):
        its.run()
    assert source.acknowledged == []
    assert list((tmp_path / "landed").iterdir()) == []


# -- the folder -----------------------------------------------------------------------------------


def test_numbers_go_on_and_leftovers_go(landing, tmp_path):
    landed = tmp_path / "landed"
    landing(Sender([row_of(0)])).run()
    (first,) = landed.iterdir()
    # a clock that was put back must not bring a name again, or an order that is another
    ahead = landed / f"{int(first.stem) + 10**15:018}.parquet"
    first.rename(ahead)
    others = ["notes.txt", ".hidden.part", "7.parquet"]
    for name in (f".{int(first.stem):018}.parquet.part", *others):
        (landed / name).write_text("PAR1 and no more")
    landing(Sender([row_of(1), row_of(2)]), rows=1).run()
    names = sorted(path.name for path in landed.iterdir())
    number = int(ahead.stem)
    files = [f"{n:018}.parquet" for n in (number, number + 1, number + 2)]
    assert names == sorted([*files, *others])


def test_a_name_is_not_used_again_when_the_engine_has_removed_the_file(landing, tmp_path):
    """An engine that remembers what it has read would not read another of that name."""
    names = []
    for n in range(3):
        landing(Sender([row_of(n)])).run()
        (path,) = (tmp_path / "landed").iterdir()
        names.append(path.name)
        path.unlink()
    assert names == sorted(set(names))


def test_one_folder_has_one_writer(tmp_path):
    first = Folder(tmp_path / "landed")
    with pytest.raises(
        OutputError, match=f"written to by process {os.getpid()}; give each a folder"
    ):
        Folder(tmp_path / "landed")
    first.close()
    Folder(tmp_path / "landed").close()


def test_a_folder_that_is_new_is_on_disk(steps, tmp_path):
    Folder(tmp_path / "new" / "landed").close()
    assert steps == ["fsync new", f"fsync {tmp_path.name}"]


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r".*file is no folder that can be written to"):
        Folder(tmp_path / "file")


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["", 'here,3,bad,"x\ny', "here,3,b"])
def test_refused_rows_are_written_behind_those_before(cut, tmp_path):
    path = tmp_path / "refused.csv"
    for n, text in enumerate(['a "word"\nand more', "plain"]):
        refusals = Refusals(path, lasting=True)
        refusals.open(())
        refusals.go_on()
        refusals.add("here", n, "bad", text)
        refusals.finish()
        refusals.close()
        with path.open("a") as file:
            file.write(cut)
    kept = path.read_text().removesuffix(cut)
    assert kept == 'file,line,reason,text\nhere,0,bad,"a ""word""\nand more"\nhere,1,bad,plain\n'


# -- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    ["--labels", "--segments", "--regimes", "--persist", "--checkpoint", "--serve", "--publish",
     "--late", "--as", "--max-gap"],
)  # fmt: skip
def test_it_has_no_options_of_labels(option, cli):
    result = cli("land", "-", "landed", "--value", "level", option, "3")
    assert result.exit_code == 2, result.output
    assert "No such option" in result.stderr


def test_names_of_its_own_columns_are_refused(cli):
    result = cli("land", "-", "landed", "--value", "level", "--value", "key")
    assert result.exit_code == 2, result.output
    assert "--value 'key' is also the name of a column that is added to the files" in result.stderr


class Process:
    """``replay land`` in a process of its own, to the folder ``landed``."""

    def __init__(self, address, *options):
        self.process = Forked("land", address, "landed", *options)

    def tell(self, lines):
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def end(self, how=None):
        """Its status, and what it has said."""
        if how is not None:
            self.process.send_signal(how)
        said, problems = self.process.communicate(timeout=600)
        return self.process.returncode, said.decode() + problems.decode()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()


def message(n, device="a"):
    level = None if n % 10 == 7 else n / 8
    return json.dumps({"t": 1e9 + n, "n": n, "level": level, "device": device}).encode()


def wait_for(condition, seconds=300.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.01)


OPTIONS = ["--value", "level", "--time", "t", "--sequence", "n"]


def test_standard_input(tmp_path):
    with Process("-", *OPTIONS, "--key", "device", "--refused", "refused.csv") as lander:
        lander.tell([message(0), b"nonsense", message(1, "b"), message(7)])
        status, said = lander.end()
    assert (status, "3 rows in 1 file: landed" in said) == (0, True), said
    assert "refused: 1 message that is no JSON" in said
    assert "nonsense" in Path("refused.csv").read_text()
    assert read("landed") == [
        {"key": "a", "time": 1e9, "sequence": 0, "level": 0.0},
        {"key": "b", "time": 1e9 + 1, "sequence": 1, "level": 0.125},
        {"key": "a", "time": 1e9 + 7, "sequence": 7, "level": None},
    ]


def test_rows_that_wait_land_after_some_seconds_and_at_a_signal(tmp_path):
    with Process("-", *OPTIONS, "--file-seconds", "0.3") as lander:
        lander.tell(map(message, range(5)))
        wait_for(lambda: Path("landed").exists() and len(sequences("landed")) == 5)
        lander.tell(map(message, range(5, 8)))
        status, said = lander.end(signal.SIGTERM)
    assert (status, "8 rows in " in said) == (0, True), said
    assert sequences("landed") == list(range(8))


def test_bad_rows_end_it_if_asked_to(tmp_path):
    with Process("-", *OPTIONS, "--on-bad", "raise") as lander:
        lander.tell([message(0), b"nonsense", message(1)])
        status, said = lander.end()
    assert (status, "message 2: it is no JSON" in said) == (2, True), said
    assert sequences("landed") == [0]


# -- from a broker --------------------------------------------------------------------------------


def publish(broker, messages, topic="plant/a"):
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for data in messages:
        last = client.publish(topic, data, qos=1)
    last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def subscribe(broker):
    """Let the broker keep what comes from now on."""
    source = MqttSource(Broker.of(broker.address("plant/#")), ReadOptions(("level",)), "lander")
    source.next_batch(1)
    source.close()


def told(n):
    """Messages of three devices, each with numbers of its own."""
    rng = random.Random(n)
    count = Counter()
    for _ in range(n):
        device = rng.choice("abc")
        count[device] += 1
        yield message(count[device], device)


def expected_rows(messages):
    known = map(json.loads, messages)
    return [
        {"key": it["device"], "time": it["t"], "sequence": it["n"], "level": it["level"]}
        for it in known
    ]


FROM_BROKER = [*OPTIONS, "--key", "device", "--client", "lander"]


def test_every_message_lands_once(broker):
    subscribe(broker)
    messages = list(told(5000))
    publish(broker, [*messages[:2000], b"nonsense", *messages[2000:]])
    with Process(broker.address("plant/#"), *FROM_BROKER, "--file-rows", "700") as lander:
        wait_for(lambda: Path("landed").exists() and len(sequences("landed")) == 5000)
        status, said = lander.end(signal.SIGTERM)
    assert (status, "5,000 rows in " in said) == (0, True), said
    assert "refused: 1 message that is no JSON" in said
    assert read("landed") == expected_rows(messages)
    files = sorted(Path("landed").iterdir())
    assert max(pq.read_metadata(path).num_rows for path in files) == 700
    # and all of them are acknowledged: none comes again before the next one
    publish(broker, [message(5001)])
    with Process(broker.address("plant/#"), *FROM_BROKER, "--file-seconds", "0.1") as lander:
        wait_for(lambda: len(list(Path("landed").glob("[0-9]*"))) > len(files))
        status, said = lander.end(signal.SIGINT)
    assert (status, "1 row in 1 file" in said) == (0, True), said
    assert read("landed") == expected_rows([*messages, message(5001)])


def test_the_key_may_be_in_the_topic(broker):
    subscribe(broker)
    publish(broker, [message(1)], "plant/p7")
    publish(broker, [message(2)], "plant/p8")
    options = [*OPTIONS, "--key", "topic:2", "--client", "lander", "--file-seconds", "0.2"]
    with Process(broker.address("plant/#"), *options) as lander:
        wait_for(lambda: Path("landed").exists() and len(read("landed")) == 2)
        assert lander.end(signal.SIGTERM)[0] == 0
    assert [(row["key"], row["sequence"]) for row in read("landed")] == [("p7", 1), ("p8", 2)]


@pytest.mark.parametrize("ends", ["stop", "kill"])
def test_a_broker_that_goes_away_amid_a_batch_is_waited_for(ends, broker):
    subscribe(broker)
    messages = list(told(1000))
    publish(broker, messages[:600])
    options = [*FROM_BROKER, "--file-rows", "250", "--file-seconds", "2"]
    with Process(broker.address("plant/#"), *options) as lander:
        wait_for(lambda: Path("landed").exists() and len(read("landed")) == 500)
        # a hundred rows are in a batch that is not closed, and come again
        if ends == "kill":
            broker.save()
        getattr(broker, ends)()
        broker.start()
        publish(broker, messages[600:])
        wait_for(lambda: len({(row["key"], row["sequence"]) for row in read("landed")}) == 1000)
        status, said = lander.end(signal.SIGTERM)
    assert status == 0, said
    found = read("landed")
    assert {tuple(row.values()) for row in found} == {
        tuple(row.values()) for row in expected_rows(messages)
    }
    # a broker that is killed may not have known of acknowledgements: their rows come again too
    first = {}
    for row in found:
        first.setdefault((row["key"], row["sequence"]), row)
    assert list(first.values())[:600] == expected_rows(messages[:600])
    assert len(found) > 1000


def test_a_killed_landing_loses_no_message(broker):
    """Twelve kills of it, two of its broker, while rows come; scripts/crash does more."""
    command = [sys.executable, CRASH, "--landing", "--kills", "12", "--rows", "2500"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "2 kills of the broker" in told.stdout
    assert "none lost" in told.stdout
