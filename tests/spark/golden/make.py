"""Writes the golden states of keys: ``python -m tests.spark.golden.make``, once for a version."""

import json
from pathlib import Path

from pyspark.sql.streaming.tws_tester import TwsTester

from online_gmm.spark import LabelProcessor, Track, TrackOptions
from online_gmm.spark.track import VERSION
from tests.spark.rows import fleet, packs, unpacked
from tests.spark.test_spark_processor import MODELS, VALUES

HERE = Path(__file__).parent


def main():
    for name, n in {"started": 100, "held": 20}.items():
        engine = TwsTester(LabelProcessor(MODELS["mixture"](), TrackOptions(VALUES, hold=True)))
        rows = fleet(1, 200)
        bad = rows.iloc[:1].assign(level=1e200)
        engine.test(
            "d0", packs(rows.iloc[:n])["d0"] + packs(rows.iloc[:3])["d0"] + packs(bad)["d0"]
        )
        data = engine.peekValueState("m", "d0")[0]
        (HERE / f"track-{name}-{VERSION}.state").write_bytes(data)
        # these rows come twice
        told = [row[1:] for row in unpacked(engine.test("d0", packs(rows)["d0"]))]
        track = Track.from_bytes(engine.peekValueState("m", "d0")[0])
        counts = [track.n_duplicates, track.n_late, track.n_refused]
        text = json.dumps({"told": told, "counts": counts})
        (HERE / f"track-{name}-{VERSION}.json").write_text(text)


if __name__ == "__main__":
    main()
