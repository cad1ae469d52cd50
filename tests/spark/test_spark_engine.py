"""The engine itself: all labels, states, what goes on from a checkpoint, and batch EM."""

import math
import os
import re
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from online_gmm import OnlineGMM, OnlineHMM, Segmenter
from online_gmm.em import batch
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.prior import Prior
from online_gmm.spark import Track, fit_mixture, label_stream, read_states
from online_gmm.spark.labels import PROVIDER
from replay.cli.app import app
from replay.engine.batch import Batch
from replay.engine.order import SeriesOptions
from replay.engine.rows import Row
from replay.engine.series import Series
from tests.replay.broker import AMQTT, MOSQUITTO, TestBroker
from tests.spark import example, job, killing
from tests.spark.rows import fleet, plain_loop

pytestmark = pytest.mark.skipif(job.JAVA is None, reason="there is no Java, which Spark runs on")
VALUES, SCHEMA = job.VALUES, job.SCHEMA
GMM = {"n_components": 2, "warm_up": 20, "n_init": 2, "seed": 1, "features": VALUES}


@pytest.fixture(scope="module")
def spark():
    """The engine of the example with two cores, for all tests of this file."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("JAVA_TOOL_OPTIONS", job.QUICK_START)
        session = example.fleet.engine(2)
    session.conf.set("spark.sql.shuffle.partitions", "2")
    session.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    yield session
    session.stop()


def write(rows, folder, name):
    """A file of rows; the engine reads files in the order of their times, here of their numbers."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.parquet"
    rows.to_parquet(path, index=False)
    os.utime(path, (1e9 + int(name), 1e9 + int(name)))


def run(labelled, folder):
    """Let a query take all there is, and end."""
    query = (
        labelled.writeStream.format("parquet")
        .option("path", str(folder / "labels"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return query


def comparable(row):
    """A row as a tuple, with None for a probability that is not known: NaN equals nothing."""
    return tuple(None if cell != cell else cell for cell in row)


def told(spark, folder, *columns):
    frame = spark.read.parquet(str(folder / "labels"))
    names = columns or ("device", "t", "label", "probability", "change")
    return sorted(map(comparable, frame.select(*names).collect()))


def test_all_labels_are_those_of_a_plain_loop(spark, tmp_path):
    """Of 30 keys, in several batches, in disorder, with rows that come twice, after a restart."""
    rows = fleet(30, 60)
    source = tmp_path / "rows"
    for i in range(2):
        part = rows.iloc[600 * i : 600 * (i + 1) + 150]
        write(part.sample(frac=1.0, random_state=i), source, f"{i}")

    def labelled():
        stream = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1)
        return label_stream(
            stream.parquet(str(source)),
            key="device",
            time="t",
            values=VALUES,
            sequence="n",
            model=OnlineGMM(**GMM),
        )

    run(labelled(), tmp_path)
    write(rows.iloc[1200:].sample(frac=1.0, random_state=2), source, "2")
    run(labelled(), tmp_path)
    assert told(spark, tmp_path) == sorted(plain_loop(rows, lambda: OnlineGMM(**GMM)))
    states = read_states(spark, str(tmp_path / "checkpoint")).collect()
    tracks = {state["key"]: Track.from_bytes(bytes(state["state"])) for state in states}
    assert sorted(tracks) == sorted(rows["device"].unique())
    assert sum(track.n_duplicates for track in tracks.values()) == 300
    learner = OnlineGMM(**GMM)
    for x in rows[rows["device"] == "d7"][VALUES].to_dict("records"):
        learner.learn_one(x)
    assert tracks["d7"].model.to_bytes() == learner.to_bytes()


def test_the_segmenter_goes_on_from_a_checkpoint_with_rows_that_wait(spark, tmp_path):
    rows = fleet(4, 400)
    rows["level"] += 9.0 * (rows["n"] // 130 % 2)
    for i in range(2):
        write(rows.iloc[800 * i : 800 * (i + 1)], tmp_path / "rows", f"{i}")
        stream = spark.readStream.schema(SCHEMA).parquet(str(tmp_path / "rows"))
        model = Segmenter(lag=40)
        run(label_stream(stream, key="device", time="t", values=VALUES, model=model), tmp_path)
    expected = []
    for key, its in rows.groupby("device"):
        segmenter = Segmenter(lag=40, features=VALUES)
        segmenter.learn_many(its[VALUES])
        labels, sure = (column.tolist() for column in segmenter.new_labels)
        for i, (t, label, probability) in enumerate(zip(its["t"], labels, sure, strict=False)):
            changes = i > 0 and labels[i - 1] not in (-1, label)
            expected.append((key, t, label, None if label < 0 else probability, changes))
    assert any(row[4] for row in expected)
    assert told(spark, tmp_path) == sorted(expected)
    states = read_states(spark, str(tmp_path / "checkpoint")).collect()
    tracks = [Track.from_bytes(bytes(state["state"])) for state in states]
    assert all(track.model.n_points == 400 and track.model.events for track in tracks)


def test_all_labels_are_those_of_replay(spark, tmp_path):
    """Of chains in continuous time, with timestamps, held rows and a limit to silence."""
    rows = fleet(20, 80)
    rows["t"] = rows["t"].round(3)
    replayed = tmp_path / "replayed.parquet"
    rows.to_parquet(tmp_path / "all.parquet", index=False)
    options = ["--key", "device", "--time", "t", "--value", "level,load", "--regimes", "2"]
    options += ["--persist", "--irregular", "--warm-up", "30", "--labels", str(replayed)]
    result = CliRunner().invoke(app, ["run", str(tmp_path / "all.parquet"), *options])
    assert result.exit_code == 0
    expected = pd.read_parquet(replayed)
    micros = (rows["t"] * 1e6).round().astype("int64")
    moments = pd.to_datetime(micros, unit="us", utc=True).astype("datetime64[us, UTC]")
    numbers = rows["device"].str[1:].astype("int64")
    stamped = rows.assign(t=moments, device=numbers)
    write(stamped.iloc[800:].sample(frac=1.0, random_state=1), tmp_path / "rows", "1")
    write(stamped.iloc[:800].sample(frac=1.0, random_state=2), tmp_path / "rows", "0")
    stream = spark.readStream.schema(
        "device bigint, t timestamp, n bigint, level double, load double"
    )
    labelled = label_stream(
        stream.option("maxFilesPerTrigger", 1).parquet(str(tmp_path / "rows")),
        key="device",
        time="t",
        values=VALUES,
        model=OnlineHMM(2, features=VALUES, time="t", warm_up=30, seed=1),
        hold=True,
        timeout=0.001,
    )
    assert labelled.schema.simpleString() == (
        "struct<device:bigint,t:timestamp,label:int,probability:double,change:boolean>"
    )
    # otherwise the query waits for keys to fall silent
    spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", "false")
    run(labelled, tmp_path)
    found = spark.read.parquet(str(tmp_path / "labels")).selectExpr(
        "device", "unix_micros(t) as t", "label", "probability", "change"
    )
    # replay writes rows as they get their labels, and times as they stood there
    assert sorted(map(tuple, found.collect())) == sorted(
        (int(row.device[1:]), round(float(row.t) * 1e6), row.label, row.probability, row.change)
        for row in expected.itertuples()
    )
    assert 0 < expected["change"].sum() < len(expected) / 4

    # all have been silent for longer when a new one comes; every key has rows in both files
    write(stamped.iloc[:1].assign(device=77), tmp_path / "rows", "2")
    assert read_states(spark, str(tmp_path / "checkpoint")).count() == 20
    run(labelled, tmp_path)
    spark.conf.unset("spark.sql.streaming.noDataMicroBatches.enabled")
    (left,) = read_states(spark, str(tmp_path / "checkpoint")).collect()
    assert left["key"] == 77


def test_a_table_is_labelled_from_states(spark, tmp_path):
    """History in one go: what was learnt of some keys is where they begin."""
    rows = fleet(6, 80)
    learners = {}
    for device, its in rows.iloc[:240].groupby("device"):
        if device != "d5":
            learners[device] = OnlineGMM(**GMM)
            for x in its[VALUES].to_dict("records"):
                learners[device].learn_one(x)
    initial = spark.createDataFrame(
        [(device, bytearray(learner.to_bytes())) for device, learner in learners.items()],
        "device string, state binary",
    )
    rest = rows.iloc[240:]
    labelled = label_stream(
        spark.createDataFrame(rest.sample(frac=1.0, random_state=1), SCHEMA),
        key="device",
        time="t",
        values=VALUES,
        model=OnlineGMM(**GMM),
        initial=initial,
    )
    found = {row[:2]: row[2:4] for row in map(comparable, labelled.collect())}
    whole = plain_loop(rows, lambda: OnlineGMM(**GMM))
    assert len(found) == len(rest)
    for device, t, label, probability, _ in whole:
        if device != "d5" and (device, t) in found:
            assert found[device, t] == (label, probability)
    for device, t, label, probability, _ in plain_loop(
        rest[rest["device"] == "d5"], lambda: OnlineGMM(**GMM)
    ):
        assert found[device, t] == (label, probability)


def test_the_documentation_runs(spark, tmp_path, capsys):
    """With the session that is there, on rows that it says are there.

    They are of three regimes far apart, for which batch EM needs few steps.
    """
    text = (job.HERE / "docs" / "fleet.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    rows = fleet(8, 60).rename(
        columns={"device": "key", "t": "time", "n": "sequence", "level": "pressure", "load": "flow"}
    )
    rows["pressure"] += 20.0 * (rows["time"] // 50 % 3 == 2)
    write(rows, tmp_path / "history", "1")
    write(pd.concat([rows, rows.iloc[:5]]), tmp_path / "landed", "1")
    # the engine stays in the folder where it was started
    for place in ("history", "landed", "labels", "checkpoint"):
        code = code.replace(f'"{place}"', repr(str(tmp_path / place)))
    exec(compile(code, "docs/fleet.md", "exec"), {})
    labels = spark.read.parquet(str(tmp_path / "labels"))
    assert labels.count() == len(rows)
    assert labels.columns == ["key", "time", "sequence", "label", "probability", "change"]
    assert re.search(r"\]\] \d \d 0$", capsys.readouterr().out.strip())


# -- kills ----------------------------------------------------------------------------------------


def test_no_row_is_lost_or_doubled_by_kills_in_the_middle_of_a_batch(spark, tmp_path):
    """Of the processes that label rows."""
    rows = fleet(30, 80)
    killing.write_rows(rows, tmp_path, 3)
    query = job.query(spark, tmp_path)
    killing.wait_for_batch(tmp_path, 1, lambda: not query.isActive)
    driver = spark.sparkContext._gateway.proc.pid
    while query.isActive:
        killing.kill(killing.workers_below(driver))
        time.sleep(0.05)
    with pytest.raises(StreamingQueryException):
        query.awaitTermination()
    assert killing.batch_under_way(tmp_path) is not None
    job.query(spark, tmp_path).awaitTermination()
    assert told(spark, tmp_path) == sorted(plain_loop(rows, job.learner, timed=True))


@pytest.mark.skipif(
    not (MOSQUITTO or AMQTT.exists()), reason="there is no broker: neither mosquitto nor amqtt"
)
def test_a_fleet_from_its_broker_to_its_labels(spark, tmp_path, monkeypatch, capsys):
    """All of the example is killed in the middle of a batch; it goes on in this process."""
    broker = TestBroker(tmp_path / "broker")
    folder = tmp_path / "fleet"
    words = [str(example.PATH), broker.address("plant/+/state"), "--folder", str(folder)]
    words += ["--devices", "3", "--rows", "100", "--cores", "1"]
    try:
        killed = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "JAVA_TOOL_OPTIONS": job.QUICK_START},
            start_new_session=True,
        )
        try:
            killing.wait_for_batch(folder, 1, lambda: killed.poll() is not None)
        finally:
            killing.clear(killed)
        assert killing.batch_under_way(folder) is not None
        monkeypatch.setattr(sys, "argv", words)
        # it is that of all tests
        monkeypatch.setattr(SparkSession, "stop", lambda its: None)
        example.fleet.main()
    finally:
        broker.stop()
    said = capsys.readouterr().out
    labels = spark.read.parquet(str(folder / "labels"))
    found = pd.DataFrame(labels.collect(), columns=labels.columns)
    for device in range(3):
        series = Series(example.fleet.learner(), SeriesOptions(late="skip"))
        expected = []
        for read in example.fleet.readings(device, 100):
            row = Row(read["n"], "", (), {"level": read["level"]}, read["t"], "", read["n"])
            expected += [
                (labelled.sequence, known.label, known.probability, change)
                for piece in series.label(Batch.of_rows([row]))[0]
                for labelled, known, change in piece.labelled.rows()
            ]
        assert len(expected) == 100
        its = found[found["key"] == f"pump{device}"].sort_values("sequence")
        names = ["sequence", "label", "probability", "change"]
        assert list(its[names].itertuples(index=False, name=None)) == expected
        changes = its[its["change"]]
        since = f"{changes['time'].iloc[-1]:.0f}" if len(changes) else "the start"
        (line,) = re.findall(rf"^pump{device}: (.*)$", said, re.MULTILINE)
        assert line == (
            f"in regime {its['label'].iloc[-1]} since {since}, {len(changes)} changes in 100 rows"
        )


# -- what is refused ------------------------------------------------------------------------------

GOOD = {"key": "device", "time": "t", "values": VALUES, "model": OnlineGMM(**GMM)}


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"key": "dev"}, ValueError, "no column 'dev'; there are device, t, n, level, load, label"),
        ({"values": "level"}, ValueError, r"values are 'level'; a list is expected, \['level'\]"),
        ({"values": "level", "model": Segmenter()}, ValueError, "values are 'level'; a list"),
        ({"values": []}, ValueError, r"values are \[\]; at least one is needed"),
        ({"values": ["level", "level"]}, ValueError, "'level' is asked for twice"),
        ({"key": "label"}, ValueError, "'label' has the name of one that is added; rename it"),
        ({"key": "t"}, ValueError, "'t' is asked for twice"),
        ({"key": "load", "values": ["level"]}, TypeError, "'load' is of type double; text or"),
        ({"time": "device", "key": "n"}, TypeError, "'device' is of type string; seconds as"),
        ({"values": ["label"]}, TypeError, "'label' is of type string; numbers are expected"),
        ({"sequence": "load"}, ValueError, "'load' is asked for twice"),
        ({"sequence": "label", "values": ["load"]}, ValueError, "rename it"),
        ({"late": "raise"}, ValueError, "late is 'raise'; it must be 'skip' or 'learn'"),
        ({"late": "learn"}, ValueError, "late='learn' needs sequence="),
        ({"buckets": 0}, ValueError, "buckets is 0; at least one is needed"),
        ({"timeout": 0.0}, ValueError, "timeout is 0.0; it must be a number of seconds above 0"),
        ({"model": "GMM"}, TypeError, "model is 'GMM'; a learner such as OnlineGMM"),
        ({"model": OnlineGMM(2)}, ValueError, "the model has no seed"),
        ({"model": OnlineHMM(2, seed=1, lag=5)}, ValueError, "lag is 5, and a table has no later"),
        ({"model": Segmenter(lag=5)}, ValueError, "lag is 5, and a table has no later"),
        ({"model": Segmenter(OnlineGMM(**GMM))}, ValueError, "a Segmenter of OnlineGMM"),
        ({"model": Segmenter(), "hold": True}, ValueError, "hold is for the warm-up"),
        ({"model": Segmenter(), "shared": True}, TypeError, "shared is for an OnlineGMM"),
        (
            {"model": OnlineGMM(2, seed=1, features=["level"])},
            ValueError,
            "knows the features 'level', and values are 'level', 'load'",
        ),
        (
            {"model": OnlineHMM(2, seed=1, time="t"), "late": "learn", "sequence": "n"},
            ValueError,
            "late is 'learn' and the model's is 'raise'; say the same",
        ),
        ({"shared": True}, ValueError, "all keys share learns no more, so it must have started"),
    ],
)
def test_what_cannot_be_labelled_is_refused_at_once(spark, asked, kind, said):
    rows = spark.createDataFrame([], f"{SCHEMA}, label string")
    with pytest.raises(kind, match=said):
        label_stream(rows, **{**GOOD, **asked})


def test_initial_states_are_looked_at(spark):
    rows = spark.createDataFrame([], SCHEMA)
    for schema, kind, said in [
        ("device string, bytes binary", ValueError, "no column 'state', only device, bytes"),
        ("id string, state binary", ValueError, "no column 'key', only id, state"),
        ("key string, state string", TypeError, "'state' of initial is of type string; bytes"),
    ]:
        with pytest.raises(kind, match=said):
            label_stream(rows, **GOOD, initial=spark.createDataFrame([], schema))


def test_states_have_to_be_kept_by_rocksdb(spark):
    rows = spark.createDataFrame([], SCHEMA)
    hdfs = "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider"
    before = spark.conf.get(PROVIDER)
    try:
        spark.conf.set(PROVIDER, hdfs)
        with pytest.raises(ValueError, match=r"HDFS.*needs RocksDB.*call spark.conf.set\("):
            label_stream(rows, **GOOD)
    finally:
        spark.conf.set(PROVIDER, before)


# -- batch EM -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(spark):
    """Rows of three regimes in seven uneven partitions, one of them empty; values are missing."""
    rng = np.random.default_rng(3)
    regime = rng.choice(3, size=6000, p=[0.5, 0.3, 0.2])
    X = rng.normal(np.array([[0.0, 1e4], [5.0, 1e4], [2.0, 1.1e4]])[regime], [1.0, 200.0])
    X[rng.random(X.shape) < 0.1] = np.nan
    frame = pd.DataFrame(X, columns=["a.b", "c"]).assign(constant=7.5)
    frame["n"] = np.arange(len(X))
    rows = spark.createDataFrame(frame).selectExpr("`a.b`", "c", "constant", "n")
    parts = rows.repartitionByRange(6, "n").where("n < 1000 or n >= 2000")
    return parts, X[(frame["n"] < 1000) | (frame["n"] >= 2000)]


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_batch_em_is_that_of_one_process(table, kind):
    rows, X = table
    if kind == "diag":
        X = np.column_stack([X, np.full(len(X), 7.5)])
    values = ["a.b", "c", "constant"][: X.shape[1]]
    means = np.array([[0.0, 1e4, 7.0], [4.0, 1e4, 7.5], [2.0, 1.2e4, 8.0]])[:, : X.shape[1]]
    spread = np.diag([2.0, 9e4, 1.0][: X.shape[1]])
    start = MixtureParameters([0.4, 0.3, 0.3], means, [spread] * 3, tuple(values))
    told = {"covariance_type": kind, "tol": 1e-9}
    found = fit_mixture(rows, values=values, start=start, sample=500, max_iter=3, **told)
    prior = Prior.of(X, 3, 1e-3)
    np.testing.assert_allclose(found.prior.variances, prior.variances, rtol=1e-12)
    assert found.prior.scale_known == prior.scale_known == (kind != "diag")
    expected = batch.fit(X, start, prior, max_iter=3, **told)
    assert found.n_iter == expected.n_iter == 3
    assert found.n_points == np.count_nonzero(~np.isnan(X).all(axis=1))
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(found.penalised, expected.penalised, rtol=1e-12)
    mixture = found.mixture.matched_to(expected.mixture)
    assert mixture.error(expected.mixture) < 1e-9
    # and that is no matter of tolerance: without the last partition it is another answer
    fewer = batch.fit(X[:-800], start, Prior.of(X[:-800], 3, 1e-3), max_iter=3, **told)
    assert mixture.error(fewer.mixture) > 1e-3


def test_batch_em_begins_with_a_sample_and_seeds_learners(table):
    rows, X = table
    found = fit_mixture(rows, values=["a.b", "c"], n_components=3, sample=400, seed=2, tol=1e-3)
    assert found.converged
    assert found.sample.shape == (400, 2)
    seen = set(X[:, 1][~np.isnan(X[:, 1])].tolist())
    assert set(found.sample[:, 1][~np.isnan(found.sample[:, 1])].tolist()) <= seen
    assert len({row.tobytes() for row in found.sample}) > 300
    expected = batch.fit(X, found.mixture, found.prior, tol=1e-8)
    assert found.mixture.error(expected.mixture) < 3e-3
    assert np.diff(found.mixture.means[:, 0]).min() > 0

    model = OnlineGMM(3, order_by="c", seed=1, time="t")
    learner = found.seed(model, points=300)
    assert not model.is_started
    assert learner.n_points == 300
    # the statistics are those of one more step from the fit, and stand for so many points
    assert learner._stream.components.state()["points"] == 300
    assert learner.mixture.features == ("a.b", "c")
    assert learner.mixture.matched_to(found.mixture).error(found.mixture) < 2e-3
    assert np.diff(learner.mixture.means[:, 1]).min() > 0
    again = OnlineGMM.from_bytes(learner.to_bytes())
    for t in range(1000):
        x = {"a.b": 5.0, "c": 1e4 + t % 10}
        assert again.predict_one(x) == learner.predict_one(x)
        learner.learn_one(x, t)
        again.learn_one(x, t)
    assert learner.mixture.weights.max() > 0.6
    assert learner.to_bytes() == again.to_bytes()

    for params, said in [
        ({"n_components": 2}, "n_components is 2; the fit's is 3"),
        ({"covariance_type": "diag"}, "covariance_type is 'diag'; the fit's is 'full'"),
        ({"prior_strength": 0.1}, "prior_strength is 0.1; the fit's is 0.001"),
        ({"order_by": "d"}, "order_by is 'd'"),
    ]:
        with pytest.raises(ValueError, match=said):
            found.seed(OnlineGMM(**{"n_components": 3, **params}))
    with pytest.raises(ValueError, match="has begun"):
        found.seed(learner)
    with pytest.raises(ValueError, match="points is 500; the sample has 400 rows"):
        found.seed(model, points=500)


def test_what_cannot_be_fitted_is_refused(spark, table):
    rows, _ = table
    with pytest.raises(ValueError, match=r"no column 'd'; there are a.b, c, constant, n"):
        fit_mixture(rows, values=["d"])
    with pytest.raises(ValueError, match=r"values are \[\]; at least one is needed"):
        fit_mixture(rows, values=[])
    with pytest.raises(ValueError, match=r"values are 'd'; a list is expected, \['d'\]"):
        fit_mixture(rows, values="d")
    with pytest.raises(TypeError, match="'n' is of type string; cast it to double"):
        fit_mixture(rows.selectExpr("cast(n as string) n"), values=["n"])
    start = MixtureParameters([1.0], [[0.0]], [[[1.0]]], ("d",))
    with pytest.raises(ValueError, match="start has the features"):
        fit_mixture(rows, values=["c"], start=start)
    empty = rows.selectExpr("cast(null as double) c")
    with pytest.raises(ValueError, match="no row has a value in any of the columns c"):
        fit_mixture(empty, values=["c"])
    stream = spark.readStream.format("rate").load()
    with pytest.raises(ValueError, match="this is a stream"):
        fit_mixture(stream, values=["value"])
    beyond = spark.createDataFrame([(1.0,), (math.inf,)], "c double")
    with pytest.raises(Exception, match=r"'c'.*inf"):
        fit_mixture(beyond, values=["c"])
