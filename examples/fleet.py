"""A fleet of sensors on one machine: MQTT -> files that land -> Spark -> labels as Parquet.

python examples/fleet.py mqtt://localhost:1883/plant/+/state --devices 20

Wants a broker (``mosquitto -p 1883`` will do for a try), Java 17, and
``pip install 'online-gmm[mqtt,spark]'``. With ``--devices`` so many sensors are made up, which send
``--rows`` readings each; without it, it takes what others send: JSON objects with ``t`` (seconds),
``n`` (the number of the reading) and ``level``, on a topic for each sensor.

Kill any of it at any time, and start it again with the same folder: readings that were not on disk
are sent again by the broker, batches that were not done are done again, and labels are those of a
run that nobody killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pyspark.sql import SparkSession, functions
from pyspark.sql.streaming.query import StreamingQuery

from online_gmm import OnlineHMM
from online_gmm.spark import label_stream

START = 1_700_000_000


def learner() -> OnlineHMM:
    """What every sensor begins with. Few points are kept: they are most of its state."""
    return OnlineHMM(2, features=["level"], order_by="level", warm_up=60, capacity=200, seed=1)


def readings(device: int, n: int) -> Iterator[dict[str, float]]:
    """Of a pump that runs and idles in turns, 50 readings on average."""
    rng = random.Random(device)
    running = False
    for i in range(n):
        running ^= rng.random() < 1 / 50
        yield {"t": START + i, "n": i + 1, "level": rng.gauss(8.0 if running else 5.0, 1.0)}


def send(address: str, devices: int, rows: int, landed: Path) -> None:
    """Publish the readings of made-up sensors, a reading of each in turn."""
    its = urlsplit(address)
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(its.hostname or "localhost", its.port or 1883)
    client.loop_start()

    def publish(device: int, reading: dict[str, float]) -> None:
        topic = its.path[1:].replace("+", f"pump{device}")
        client.publish(topic, json.dumps(reading), qos=1).wait_for_publish(60.0)

    # a broker keeps nothing for those who have never listened; what lands twice is no harm
    while not any(landed.glob("*.parquet")):
        publish(0, next(readings(0, rows)))
        time.sleep(0.5)
    for row in zip(*(readings(device, rows) for device in range(devices)), strict=True):
        for device, reading in enumerate(row):
            publish(device, reading)
    client.disconnect()
    client.loop_stop()


def land(address: str, folder: Path) -> subprocess.Popen[bytes]:
    """Put messages down as files, each acknowledged when it is on disk."""
    key = address.split("/")[3:].index("+") + 1
    command = ["land", address, str(folder), "--key", f"topic:{key}"]
    command += ["--time", "t", "--sequence", "n", "--value", "level", "--file-seconds", "1"]
    return subprocess.Popen([sys.executable, "-m", "replay", *command])


def engine(cores: int) -> SparkSession:
    """Spark in this process, which nobody else can reach."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        # as many partitions of the state: they cannot be changed once a query has begun
        .config("spark.sql.shuffle.partitions", str(2 * cores))
        .config(
            "spark.sql.streaming.stateStore.providerClass",
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        )
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def label(spark: SparkSession, folder: Path) -> StreamingQuery:
    """A query from what lands to labels; a key that is silent for a day begins anew."""
    landed = spark.readStream.schema("key string, time double, sequence long, level double")
    labelled = label_stream(
        landed.parquet(str(folder / "landed")),
        key="key",
        time="time",
        sequence="sequence",
        values=["level"],
        model=learner(),
        hold=True,
        timeout=86_400.0,
    )
    return (
        labelled.writeStream.format("parquet")
        .option("path", str(folder / "labels"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(processingTime="1 second")
        .start()
    )


def show(spark: SparkSession, folder: Path) -> None:
    """The regime of each sensor now, since when, and how often it has changed."""
    labels = spark.read.parquet(str(folder / "labels"))
    since = functions.max(functions.when(functions.col("change"), functions.col("time")))
    rows = (
        labels.groupBy("key")
        .agg(
            functions.count("*").alias("rows"),
            functions.max_by("label", "time").alias("label"),
            since.alias("since"),
            functions.count_if("change").alias("changes"),
        )
        .orderBy("key")
        .collect()
    )
    for row in rows:
        when = "the start" if row["since"] is None else f"{row['since']:.0f}"
        print(
            f"{row['key']}: in regime {row['label']} since {when}, "
            f"{row['changes']} changes in {row['rows']} rows"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", help="mqtt://HOST:PORT/TOPIC, with a + for the sensor")
    parser.add_argument("--folder", type=Path, default=Path("fleet"))
    parser.add_argument("--devices", type=int, default=0, help="sensors to make up")
    parser.add_argument("--rows", type=int, default=300, help="readings of each of them")
    parser.add_argument("--until", type=int, help="end when so many rows are labelled")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "landed").mkdir(exist_ok=True)
    until = options.until or options.devices * options.rows or None
    lander = land(options.address, options.folder / "landed")
    try:
        spark = engine(options.cores)
        query = label(spark, options.folder)
        if options.devices:
            send(options.address, options.devices, options.rows, options.folder / "landed")
        n = 0
        while query.isActive and (until is None or n < until):
            time.sleep(1.0)
            labels = options.folder / "labels"
            if (query.lastProgress or {}).get("batchId", 0) and labels.exists():
                n = spark.read.parquet(str(labels)).count()
            if lander.poll() is not None:
                sys.exit("nothing lands any more; what ended it is said above")
        if query.exception() is not None:
            sys.exit(str(query.exception()))
        query.stop()
        show(spark, options.folder)
        spark.stop()
    except KeyboardInterrupt:
        print("stopped; start it again with the same folder, and it goes on", file=sys.stderr)
    finally:
        lander.terminate()
        lander.wait()


if __name__ == "__main__":
    main()
