"""Rows of a fleet, what a plain loop makes of them, and how the processor gets them."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Row
from pyspark.sql.streaming.tws_tester import TwsTester

from online_gmm.spark import LabelProcessor
from online_gmm.spark.packing import packed
from online_gmm.spark.processor import BUCKETS

DOUBLE = pa.float64()


def fleet(n_keys, n_rows, seed=1):
    """Rows of keys in turns, in regimes that last; some values are missing, some rows empty."""
    rng = np.random.default_rng(seed)
    i = np.arange(n_keys * n_rows)
    turn, key = np.divmod(i, n_keys)
    regime = (turn // 7 + key) % 2
    level = rng.normal(4.0 * regime, 1.0)
    load = rng.normal(-2.0 * regime, 1.5)
    level[rng.random(len(i)) < 0.05] = np.nan
    load[rng.random(len(i)) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "device": [f"d{k}" for k in key],
            "t": 1.7e9 + 10.0 * turn + rng.uniform(0.0, 5.0, len(i)),
            "n": turn + 1,
            "level": level,
            "load": load,
        }
    )


def plain_loop(rows, make, timed=False):
    """(key, time, label, probability, change) of each row, by river's loop for each key."""
    models, last, told = {}, {}, []
    for device, t, level, load in rows[["device", "t", "level", "load"]].itertuples(index=False):
        if device not in models:
            models[device] = make()
        model, x = models[device], {"level": level, "load": load}
        at = t if timed else None
        started = model.is_started
        label, probability, *_ = model.assign_one(x, at)
        model.learn_one(x, at)
        if device in last and math.isnan(level) and math.isnan(load):
            # it has measured nothing
            label, probability = last[device]
        known = None if math.isnan(probability) else probability
        told.append((device, t, label, known, last.get(device, (label,))[0] != label))
        if started:
            last[device] = label, probability
    return told


def bucket_of(key):
    """d0 and d1 share one, d2 and d3, and so on."""
    return int(key[1:]) // 2


def columns(rows, stamp, sequence):
    """Rows as `packed` takes them."""
    rows = rows.assign(bucket=rows["device"].map(bucket_of))
    kinds = {
        "bucket": pa.int32(),
        "device": pa.string(),
        "t": stamp,
        **({"n": pa.int64()} if sequence else {}),
    }
    kinds |= {"level": pa.float64(), "load": pa.float64()}
    names = ["bucket", "key", "stamp", *(["sequence"] if sequence else []), "v0", "v1"]
    arrays = [
        pa.array([None if x is pd.NA else x for x in rows[name]], kind)
        for name, kind in kinds.items()
    ]
    return pa.table(arrays, names)


def packs(rows, stamp=DOUBLE, sequence=False, chunk=10_000):
    """Rows as the processor gets them: for each bucket its packs."""
    result = {}
    for batch in columns(rows, stamp, sequence).to_batches(chunk):
        for pack in packed([batch]):
            for row in pack.to_pylist():
                result.setdefault(row["bucket"], []).append(Row(**row))
    return result


class Engine(TwsTester):
    """The processor with what it needs of an engine; states are those of keys."""

    def __init__(self, model, options, initial=None, **more):
        processor = LabelProcessor(model, options, **more)
        shares = {}
        for key, state in (initial or {}).items():
            shares.setdefault(bucket_of(key), {})[key] = state
        super().__init__(
            processor,
            initialStateRow=[
                (bucket, Row(key=list(its), state=list(its.values())))
                for bucket, its in shares.items()
            ],
            timeMode="ProcessingTime" if "timeout" in more else "None",
        )

    def label(self, *batches, **how):
        """Hand over rows, each table of them in packs of its own; return the answers."""
        together = {}
        for rows in batches:
            for bucket, its in packs(rows, **how).items():
                together.setdefault(bucket, []).extend(its)
        return [answer for bucket, its in together.items() for answer in self.test(bucket, its)]

    def states(self, bucket):
        known = self.peekValueState("m", bucket)
        return {} if known is None else dict(zip(*known[:2], strict=True))

    def state(self, key):
        """The bytes of a key, None if it is not known."""
        return self.states(bucket_of(key)).get(key)

    def restore(self, key, state):
        states = self.states(bucket_of(key)) | {key: state}
        value = list(states), list(states.values()), BUCKETS
        self.updateValueState("m", bucket_of(key), value)


def unpacked(answers):
    """(key, time, label, probability, change) of all rows that the processor has answered with.

    None for a probability that is not known.
    """
    return [
        (answer["key"], t, label, None if math.isnan(probability) else probability, change)
        for answer in answers
        for t, label, probability, change in zip(
            *(answer[name].tolist() for name in ("stamp", "label", "probability", "change")),
            strict=True,
        )
    ]
