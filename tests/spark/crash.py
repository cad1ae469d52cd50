"""Kills a query in the middle of its batches, lets it go on, and compares with one that was not.

``scripts/crash --spark --kills 10``: in turns everything is killed, the driver, or the
Python processes that label rows.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.spark import job, killing
from tests.spark.rows import fleet, plain_loop

WHAT = ("all", "driver", "workers")
FILES = 8
"""Batches of a query."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--rows", type=int, default=160, help="of each key")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    kills = dict.fromkeys(WHAT, 0)
    between = finished = different = 0
    rows = fleet(chosen.keys, chosen.rows)
    loop = sorted(plain_loop(rows, job.learner, timed=True))
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        killing.write_rows(rows, whole, FILES)
        folders = []
        if killing.finish(whole) != 0:
            sys.exit(f"the query that is not killed fails: {(whole / 'said').read_text()[-2000:]}")
        while sum(kills.values()) < chosen.kills:
            folder = Path(name) / f"killed-{len(folders)}"
            killing.write_rows(rows, folder, FILES)
            folders.append(folder)
            at = 0
            while at < FILES - 1 and sum(kills.values()) < chosen.kills:
                what = min(WHAT, key=kills.__getitem__)
                if killing.kill_in_batch(folder, what, at, rng):
                    kills[what] += 1
                else:
                    between += 1
                # the batch that was killed once more, or one of the next
                at = (killing.batch_under_way(folder) or at) + rng.randrange(2)
            if killing.finish(folder) != 0:
                sys.exit(f"the query fails: {(folder / 'said').read_text()[-2000:]}")
            finished += 1
        spark = job.session("comparison")
        expected = [tuple(row) for row in killing.labels(spark, whole)]
        for folder in folders:
            found = killing.labels(spark, folder)
            if found != expected:
                different += 1
                odd = sorted(set(found).symmetric_difference(expected))[:5]
                print(
                    f"{folder.name}: {len(found)} rows of {len(expected)}; {odd}", file=sys.stderr
                )
        spark.stop()
    told = [(key, t, label, p, change) for key, t, _, label, p, change in expected]
    same = sorted(told) == loop
    print(
        f"{sum(kills.values())} kills in the middle of a batch "
        f"({', '.join(f'{n} of {what}' for what, n in kills.items())}), {between} between two; "
        f"{finished} queries of {len(expected):,} rows finished, {different} with other output; "
        f"not killed: {'as' if same else 'OTHER THAN'} the plain loop"
    )
    sys.exit(1 if different or not same else 0)


if __name__ == "__main__":
    main()
