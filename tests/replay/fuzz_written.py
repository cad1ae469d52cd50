"""Read thousands of random files, and compare with what was written in them."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.append(str(Path(__file__).parent))

from hypothesis import HealthCheck, Phase, given, seed, settings
from test_written_files import judge
from written_files import Written, written_files

from replay.sources import csv_file


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    counts: Counter[str] = Counter()
    # long files are cut by pyarrow, and these are to be cut as they are
    csv_file.SMALL = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"

        @seed(1)
        @settings(
            max_examples=n,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(written_files())
        def read(written: Written) -> None:
            by_default = counts["files"] % 2 == 1
            counts["files"] += 1
            counts["rows"] += len(written.values)
            counts["told which columns" if not by_default else "left to the default"] += 1
            judge(written, path, by_default)

        read()
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    print(f"{told}: all read as written")


if __name__ == "__main__":
    main()
