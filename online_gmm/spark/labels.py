"""A stream of rows of many keys, labelled."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession, functions
from pyspark.sql.types import (
    BinaryType,
    DataType,
    IntegralType,
    NumericType,
    StringType,
    TimestampType,
)

from online_gmm.data.counted import must_be_real
from online_gmm.data.frames import must_be_names
from online_gmm.learners.base import Learner
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.learners.hmm import OnlineHMM
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.spark.names import quoted
from online_gmm.spark.packing import packed
from online_gmm.spark.processor import BUCKETS, STATE, LabelProcessor
from online_gmm.spark.track import TrackOptions

PROVIDER = "spark.sql.streaming.stateStore.providerClass"
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
ADDED = ("label", "probability", "change")
"""The columns of labels."""
MICROSECONDS = 1e6
"""To a second, as the engine's timestamps count."""


def label_stream(
    df: DataFrame,
    *,
    key: str,
    time: str,
    values: Sequence[str],
    model: Learner | Segmenter,
    sequence: str | None = None,
    initial: DataFrame | None = None,
    late: str = "skip",
    hold: bool = False,
    timeout: float | datetime.timedelta | None = None,
    shared: bool = False,
    buckets: int = BUCKETS,
) -> DataFrame:
    """Label the rows of a stream by a learner for each key, which then learns them.

    Each key's rows are labelled and learnt one after the other as in a plain loop of `assign_one`
    and `learn_one`, with the same answers to the last bit. Learners live in the state of the
    engine, so that a query that goes on from its checkpoint goes on with them: no row is learnt
    twice.

    Parameters
    ----------
    df
        Rows, as a stream or a table.
    key
        The column that tells series apart, text or whole numbers. Rows without a key are left out.
    time
        The column of times: numbers, in seconds, or timestamps. The rows of a key that come in one
        batch are put in the order of their times, then of their sequence numbers.
    values
        The columns of values, numbers. Null and NaN are missing values.
    model
        What every key begins with: `Segmenter()`, or a learner as it is made, or one that has
        started, for instance by `fit_start` or `MixtureFit.seed`. A mixture or a hidden Markov
        model needs a ``seed``. With a ``lag``, a row of a stream comes out, labelled, when so many
        more rows of its key have come, or after ``timeout``.
    sequence
        The column of the number that each device gives its rows, whole. A row whose number is not
        after the last one's has come twice and is dropped, unless its time is later.
    initial
        What is known of keys before the first batch: a table of the column ``key`` and ``state``,
        bytes of learners (`to_bytes`) or what `read_states` has read from another query. It is not
        looked at when the query goes on from a checkpoint.
    late
        What to do with rows whose time is not after that of the last row of their key: ``skip`` and
        count them, or ``learn`` them all the same, which needs a sequence number to tell what
        has come twice.
    hold
        Whether rows of the warm-up wait in the state until it is complete, to be labelled by what
        is known then; as `replay` does. Otherwise they come out at once, with label -1.
    timeout
        Seconds without a row, on the engine's clock, after which a key is forgotten and its rows
        that wait come out; at the end of the batch that finds it so. The engine then makes batches
        without rows, too, as often as the trigger lets it. With ``availableNow`` it would never
        come to an end: set ``spark.sql.streaming.noDataMicroBatches.enabled`` to false there.

    shared
        Whether all keys share the model, so that a label means the same for each. The model must
        have started, for instance by `MixtureFit.seed` or as a saved model, and learns no more: a
        stream has no place for what all keys change. With an `OnlineHMM` each key has a belief of
        its own. The state of a key is then some hundred bytes. To learn from later rows, fit the
        model again and begin a new query.
    buckets
        How many buckets keys are in, by their hash. A bucket's learners are one state, which is
        read and written as a whole when one of its keys has rows. Each has a cost of its own, and
        so has each learner that is carried along: ten to a hundred keys a bucket are good, so a
        million keys want 20,000. A query stays with the number that it was begun with.

    Returns
    -------
    DataFrame
        With the columns of key, time and sequence as they came, ``label``, ``probability`` (that of
        the label), and ``change``: whether the row's label is another than that of the row before.

    Raises
    ------
    ValueError, TypeError
        If columns are missing or of other types, the model does not fit to them or would not give
        the same answers twice, or states are not kept by RocksDB, as the engine needs it for this.

    Notes
    -----
    Rows without a time or sequence number, or with a value that is infinite or beyond 1e150 are
    left out. How many were left out, of what key, and why, `read_states` tells. Rows without a key
    are left out too, and counted nowhere, as there is no state that they belong to.

    State a key: that of the learner, some kilobytes; the points kept (``capacity``) are most of it.
    The state of each bucket that has rows in a batch is read and written once.

    Examples
    --------
    See ``docs/fleet.md``.
    """
    spark = df.sparkSession
    _require_rocksdb(spark)
    must_be_names("values", values)
    model = _learner_of(model, values)
    options, stamp = _checked(df, key, time, values, model, sequence, late, hold, shared)
    if not (isinstance(buckets, int) and buckets >= 1):
        raise ValueError(f"buckets is {buckets!r}; at least one is needed")
    milliseconds = None if timeout is None else _milliseconds(timeout)
    rows = df.where(functions.col(quoted(key)).isNotNull()).select(
        _bucket_of(key, buckets),
        functions.col(quoted(key)).alias("key"),
        _as_stamp(df, time).alias("stamp"),
        *(
            []
            if sequence is None
            else [functions.col(quoted(sequence)).cast("bigint").alias("sequence")]
        ),
        *(
            functions.col(quoted(name)).cast("double").alias(f"v{j}")
            for j, name in enumerate(values)
        ),
    )
    key_type = df.schema[key].dataType
    kind = key_type.simpleString()
    ordering = "" if sequence is None else "sequence binary, "
    packs = rows.mapInArrow(
        packed,
        "bucket int, keys binary, count binary, refused binary, stamp binary, "
        f"{ordering}values binary",
    )
    numbers = "" if sequence is None else "sequence array<bigint>, "
    labelled = packs.groupBy("bucket").transformWithState(
        LabelProcessor(
            model, options, stamp, sequence is not None, milliseconds, key_type, buckets
        ),
        f"key {kind}, stamp array<{stamp}>, {numbers}label array<int>, "
        "probability array<double>, change array<boolean>",
        "Append",
        "None" if milliseconds is None else "ProcessingTime",
        None if initial is None else _states(initial, key, kind, buckets).groupBy("bucket"),
    )
    arrays = [name for name in labelled.columns if name != "key"]
    flat = labelled.select("key", functions.inline(functions.arrays_zip(*arrays)))
    return flat.select(
        functions.col("key").alias(key),
        _from_stamp(df.schema[time].dataType).alias(time),
        *([] if sequence is None else [functions.col("sequence").alias(sequence)]),
        *ADDED,
    )


def read_states(spark: SparkSession, checkpoint: str) -> DataFrame:
    """What a query has learnt, from its checkpoint.

    Parameters
    ----------
    spark
        The session.
    checkpoint
        The ``checkpointLocation`` of a query of `label_stream`. It may be running; what is read is
        its last batch.

    Returns
    -------
    DataFrame
        With a row for each key: ``key``, and ``state``, which `Track.from_bytes` reads. It can be
        the ``initial`` of another query.
    """
    states = (
        spark.read.format("statestore")
        .option("path", checkpoint)
        .option("stateVarName", STATE)
        .load()
    )
    return states.select(functions.inline(functions.arrays_zip("value.key", "value.state")))


def _require_rocksdb(spark: SparkSession) -> None:
    provider = spark.conf.get(PROVIDER, "")
    if "RocksDB" not in (provider or ""):
        raise ValueError(
            f"{PROVIDER} is {provider!r}; a state for each key needs RocksDB. Before the query is "
            f"made, call spark.conf.set({PROVIDER!r}, {ROCKSDB!r})"
        )


def _checked(
    df: DataFrame,
    key: str,
    time: str,
    values: Sequence[str],
    model: Learner,
    sequence: str | None,
    late: str,
    hold: bool,
    shared: bool,
) -> tuple[TrackOptions, str]:
    """How rows are to be taken, and the type of their times."""
    names = [key, time, *values, *([] if sequence is None else [sequence])]
    for name in names:
        if name not in df.columns:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(df.columns)}")
        if names.count(name) > 1:
            raise ValueError(f"column {name!r} is asked for twice")
        if df.columns.count(name) > 1:
            raise ValueError(f"there is more than one column {name!r}")
        if name.lower() in ADDED and name not in values:
            raise ValueError(f"column {name!r} has the name of one that is added; rename it")
    expected: list[tuple[str, tuple[type[DataType], ...], str]] = [
        (key, (StringType, IntegralType), "text or whole numbers"),
        (time, (NumericType, TimestampType), "seconds as numbers, or timestamps"),
        *((name, (NumericType,), "numbers") for name in values),
    ]
    if sequence is not None:
        expected.append((sequence, (IntegralType,), "whole numbers"))
    for name, kinds, what in expected:
        kind = df.schema[name].dataType
        if not isinstance(kind, kinds):
            raise TypeError(
                f"column {name!r} is of type {kind.simpleString()}; {what} are expected, so cast it"
            )
    if late not in ("skip", "learn"):
        raise ValueError(f"late is {late!r}; it must be 'skip' or 'learn'")
    if late == "learn" and sequence is None:
        raise ValueError("late='learn' needs sequence=, to tell rows that have come twice")
    _check_model(model, values, late, hold, df.isStreaming)
    if shared:
        _check_shared(model, hold)
    integral = isinstance(df.schema[time].dataType, IntegralType | TimestampType)
    unit = MICROSECONDS if isinstance(df.schema[time].dataType, TimestampType) else 1.0
    return TrackOptions(tuple(values), unit, late, hold, shared), "bigint" if integral else "double"


def _learner_of(model: Learner | Segmenter, values: Sequence[str]) -> Learner:
    """The learner that labels: that of a segmenter, with these features if it names none."""
    if not isinstance(model, Segmenter):
        return model
    if not model.finds_regimes:
        raise ValueError(
            f"the model is a Segmenter of {model.learner}; give that itself, whose labels are "
            "those of rows"
        )
    learner: Learner = model.learner
    if learner.features is None and not learner.is_started and not learner.n_points:
        learner = learner.clone({"features": list(values)})
    return learner


def _check_model(
    model: Learner, values: Sequence[str], late: str, hold: bool, is_stream: bool
) -> None:
    if not isinstance(model, Learner):
        raise TypeError(
            f"model is {model!r}; a learner such as OnlineGMM, or Segmenter(), is expected"
        )
    if not model.finds_regimes and model.seed is None:
        raise ValueError(
            "the model has no seed: a batch that is done again after a failure would be labelled "
            "otherwise; give it one"
        )
    if model.lag and not is_stream:
        raise ValueError(
            f"the model's lag is {model.lag!r}, and a table has no later rows to wait for; make it "
            "with lag=0, or give a stream"
        )
    if model.finds_regimes and hold:
        raise ValueError(
            "hold is for the warm-up of a mixture or a hidden Markov model; a Segmenter that is to "
            "wait has a lag"
        )
    if late == "learn" and model._clocked and model.late != "learn":
        raise ValueError(f"late is 'learn' and the model's is {model.late!r}; say the same")
    known = model._names if model.is_started else model.features
    if known is not None and set(known) != set(values):
        raise ValueError(
            f"the model knows the features {', '.join(map(repr, known))}, "
            f"and values are {', '.join(map(repr, values))}"
        )


def _check_shared(model: Learner, hold: bool) -> None:
    if not isinstance(model, OnlineGMM | OnlineHMM):
        raise TypeError(
            f"shared is for an OnlineGMM or OnlineHMM, not {type(model).__name__}, which finds the "
            "regimes of one series"
        )
    if not model.is_started:
        raise ValueError(
            "a model that all keys share learns no more, so it must have started; seed it by "
            "fit_mixture(...).seed, call fit_start, or load a saved one"
        )
    if model._clocked:
        raise ValueError("a model with times follows one series only; make it without time=")
    if model.lag:
        raise ValueError(
            f"the model's lag is {model.lag!r}; a model that all keys share labels rows as they "
            "come, so make it with lag=0"
        )
    if hold:
        raise ValueError("hold is for a warm-up, which a model that has started does not have")


def _milliseconds(timeout: float | datetime.timedelta) -> int:
    seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
    must_be_real(
        "timeout", seconds, "a number of seconds above 0, or a timedelta", lambda its: its > 0
    )
    return max(1, round(1000 * seconds))


def _as_stamp(df: DataFrame, time: str) -> Column:
    """Times as the numbers that are handed to Python."""
    kind, column = df.schema[time].dataType, functions.col(quoted(time))
    if isinstance(kind, TimestampType):
        return functions.unix_micros(column)
    return column.cast("bigint" if isinstance(kind, IntegralType) else "double")


def _from_stamp(kind: DataType) -> Column:
    """The same numbers as what they were."""
    column = functions.col("stamp")
    return (
        functions.timestamp_micros(column) if isinstance(kind, TimestampType) else column.cast(kind)
    )


def _bucket_of(key: str, buckets: int) -> Column:
    """The bucket of a key, a hash that is the same for ever."""
    number = functions.pmod(functions.xxhash64(quoted(key)), functions.lit(buckets))
    return number.cast("int").alias("bucket")


def _states(initial: DataFrame, key: str, kind: str, buckets: int) -> DataFrame:
    """States of keys, those of a bucket together."""
    name = key if key in initial.columns else "key"
    for needed in (name, "state"):
        if needed not in initial.columns:
            raise ValueError(
                f"initial has no column {needed!r}, only {', '.join(initial.columns)}; a key and "
                "the bytes of a learner are expected"
            )
    if not isinstance(initial.schema["state"].dataType, BinaryType):
        raise TypeError(
            f"column 'state' of initial is of type "
            f"{initial.schema['state'].dataType.simpleString()}; bytes (binary) are expected"
        )
    states = initial.where(functions.col(quoted(name)).isNotNull()).select(
        functions.col(quoted(name)).cast(kind).alias("key"), "state"
    )
    known = functions.collect_list(functions.struct("key", "state")).alias("known")
    return (
        states.groupBy(_bucket_of("key", buckets))
        .agg(known)
        .select("bucket", "known.key", "known.state")
    )
