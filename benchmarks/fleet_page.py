"""The live page of a fleet: time to the first paint, size of an update, memory.

python -m benchmarks.fleet_page [KEYS ...]
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HERE), str(HERE / "tests" / "replay")]

from screenshots import browser, look  # noqa: E402

from online_gmm import OnlineGMM  # noqa: E402
from replay.engine.batch import Batch, ListTexts  # noqa: E402
from replay.engine.fleet import Fleet  # noqa: E402
from replay.engine.keys import Keys  # noqa: E402
from replay.engine.series import Series  # noqa: E402
from replay.engine.shared import SharedModel  # noqa: E402
from replay.views.history import History  # noqa: E402
from replay.views.page.server import EVERY, PageServer  # noqa: E402
from replay.views.page.sink import Watcher  # noqa: E402

COLUMNS = ("temperature", "load")
ROWS = 20
"""Rows of each key before the page is opened."""
SECONDS = 10.0
"""In which rows come while the page is open."""


class Rows:
    """Rows of a fleet that shares a model, labelled and put into the history of a page."""

    def __init__(self, n_keys: int) -> None:
        shared = SharedModel(OnlineGMM(3, features=COLUMNS, seed=1))

        def made() -> Series:
            return Series(OnlineGMM(3, features=COLUMNS, seed=1), None, shared.model)

        self.fleet = Fleet(made, lambda state: made(), shared=shared)
        self.watcher = Watcher(History(COLUMNS), self.fleet.__getitem__)
        self._keys = [f"hall-{i % 9}/pump-{i}" for i in range(n_keys)]
        self._rng = np.random.default_rng(1)
        self._n = 0

    def come(self, n: int) -> float:
        """Label so many rows; the seconds that takes."""
        keys = [self._keys[(self._n + i) % len(self._keys)] for i in range(n)]
        level = self._rng.choice([20.0, 26.0, 34.0], size=n)
        values = np.stack([level, 2.0 * level], axis=1) + self._rng.normal(size=(n, 2))
        lines = np.arange(self._n, self._n + n)
        batch = Batch(COLUMNS, values, ListTexts([""] * n, [("", "")] * n), lines, Keys.of(keys))
        self._n += n
        began = time.perf_counter()
        for labelled in self.fleet.label(batch):
            self.watcher.write(labelled)
        self.watcher.flush()
        return time.perf_counter() - began


def memory() -> float:
    """Megabytes that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main(sizes: list[int]) -> None:
    print("keys | first paint ms | page idle ms | bytes of the table | KB/s of updates | "
          "p99 of a batch of 10 rows, ms: alone, with the page open | peak MB")  # fmt: skip
    for n_keys in sizes:
        rows = Rows(n_keys)
        for _ in range(ROWS * n_keys // 1000 + 1):
            rows.come(1000)
        alone = np.quantile([rows.come(10) for _ in range(500)], 0.99)
        with (
            PageServer(
                "127.0.0.1:0", "Fleet", rows.watcher.history, rows.watcher.parameters
            ) as page,
            browser() as driver,
        ):
            began = time.perf_counter()
            look(driver, page.url)
            idle = time.perf_counter() - began
            (paint,) = driver.execute_script(
                "return performance.getEntriesByName('first-contentful-paint')"
                ".map(its => its.startTime)"
            )
            driver.get_log("performance")
            took, until = [], time.perf_counter() + SECONDS
            while time.perf_counter() < until:
                took.append(rows.come(10))
                time.sleep(0.01)
            frames = [
                its["message"]
                for its in driver.get_log("performance")
                if "webSocketFrameReceived" in its["message"]
            ]
            table = driver.execute_script(
                "return Bokeh.documents[0].get_model_by_name('keys').text.length"
            )
        print(
            f"{n_keys:,} | {paint:,.0f} | {1e3 * idle:,.0f} | {table:,} | "
            f"{sum(map(len, frames)) / SECONDS / 1e3:,.1f} | "
            f"{1e3 * alone:.2f}, {1e3 * np.quantile(took, 0.99):.2f} | {memory():,.0f}",
            flush=True,
        )
    print(f"looks every {EVERY} ms; the first paint is that of Chromium, after the request")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 1000, 10_000])
