"""Writes the golden states of keys: ``python -m tests.spark.golden.make``, once for a version."""

import json
from pathlib import Path

from online_gmm.spark import Track, TrackOptions
from online_gmm.spark.track import VERSION
from tests.spark.rows import Engine, fleet, unpacked
from tests.spark.test_spark_processor import MODELS, VALUES

HERE = Path(__file__).parent


def main():
    for name, n in {"started": 100, "held": 20}.items():
        engine = Engine(MODELS["mixture"](), TrackOptions(VALUES, hold=True))
        rows = fleet(1, 200)
        bad = rows.iloc[:1].assign(level=1e200)
        engine.label(rows.iloc[:n], rows.iloc[:3], bad)
        data = engine.state("d0")
        (HERE / f"track-{name}-{VERSION}.state").write_bytes(data)
        # these rows come twice
        told = [row[1:] for row in unpacked(engine.label(rows))]
        track = Track.from_bytes(engine.state("d0"))
        counts = [track.n_duplicates, track.n_late, track.n_refused]
        text = json.dumps({"told": told, "counts": counts})
        (HERE / f"track-{name}-{VERSION}.json").write_text(text)


if __name__ == "__main__":
    main()
