"""A query of its own process, to be killed: ``python job.py FOLDER CORES`` labels FOLDER/rows."""

import os
import shutil
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from online_gmm import OnlineHMM
from online_gmm.spark import label_stream
from online_gmm.spark.labels import PROVIDER, ROCKSDB

HERE = Path(__file__).parents[2]
JAVA = shutil.which("java") or shutil.which("java", path=os.environ.get("JAVA_HOME", "") + "/bin")
SCHEMA = "device string, t double, n bigint, level double, load double"
VALUES = ["level", "load"]
QUICK_START = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
"""A Java that runs for seconds spends most of its time on loading and compiling the engine: it need
not compile it well, nor verify what its compiler has made."""


def learner():
    return OnlineHMM(2, features=VALUES, time="t", warm_up=20, n_init=2, capacity=100, seed=1)


def session(name):
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    spark = (
        SparkSession.builder.appName(name)
        .master("local[2]")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.extraJavaOptions", QUICK_START)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "Europe/Berlin")
        .config(PROVIDER, ROCKSDB)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def query(spark, folder):
    """Labels of FOLDER/rows, a file a batch, into FOLDER/labels; ends when there are no more."""
    rows = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1)
    labelled = label_stream(
        rows.parquet(str(folder / "rows")),
        key="device",
        time="t",
        values=VALUES,
        sequence="n",
        model=learner(),
    )
    return (
        labelled.writeStream.format("parquet")
        .option("path", str(folder / "labels"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    query(session("job"), folder).awaitTermination()
