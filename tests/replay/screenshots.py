"""Pictures of the report and of the live page, as a phone and a desktop show them.

scripts/screenshots FOLDER
"""

import argparse
import base64
import math
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from selenium import webdriver

from online_gmm import OnlineHMM
from replay.engine.batch import Batch
from replay.engine.rows import Row
from replay.engine.series import Series
from replay.views.history import History
from replay.views.page.report import write_report
from replay.views.page.server import PageServer
from replay.views.page.sink import Watcher

COLUMNS = ("temperature", "load")
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
SCHEMES = ("light", "dark")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
DRIVER = shutil.which("chromedriver")


class Machines:
    """Rows of machines that go through three regimes, labelled as they come."""

    def __init__(self, *keys, model=None):
        self.watcher = Watcher(History(COLUMNS), lambda key: self.series[key])
        self.series = {key: Series(model or self._model()) for key in keys}
        self._rng = np.random.default_rng(5)
        self._n = 0

    @staticmethod
    def _model():
        return OnlineHMM(3, features=COLUMNS, warm_up=100, seed=1)

    @property
    def history(self):
        return self.watcher.history

    def run(self, rows):
        """So many rows more, of the machines in turns; each machine gets ten together."""
        keys = list(self.series)
        waiting = {key: [] for key in keys}
        for i in range(rows):
            key = keys[self._n % len(keys)]
            level = (20.0, 25.0, 34.0)[self._n // (70 * len(keys)) % 3]
            temperature = level + 1.5 * self._rng.normal()
            load = 2.0 * level + 4.0 * math.sin(self._n / 50.0) + 3.0 * self._rng.normal()
            if self._n % 211 == 200:
                load = math.nan
            when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=30 * self._n)
            values = {"temperature": temperature, "load": load}
            waiting[key].append(
                Row(self._n + 2, when.isoformat(), (), values, when.timestamp(), key)
            )
            self._n += 1
            if len(waiting[key]) == 10 or i >= rows - len(keys):
                self._hand_on(self.series[key].label(Batch.of_rows(waiting[key]))[0])
                waiting[key] = []
        self.watcher.flush()

    def end(self):
        """Label the rows that wait, and end the segments."""
        for key, series in self.series.items():
            for labelled in series.finish(key):
                self.watcher.write(labelled)

    def _hand_on(self, pieces):
        for piece in pieces:
            self.watcher.write(piece.labelled)


@contextmanager
def browser():
    """Chromium, without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.set_page_load_timeout(120)
        yield driver
    finally:
        driver.quit()


def look(driver, url, size="desktop", scheme="light"):
    """Open a page, and wait until its figures are there."""
    width, height = SIZES[size]
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get(url)
    until(
        lambda: driver.execute_script(
            "return !!(window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle)"
        )
    )


def until(true, seconds=120.0):
    """Wait for something to become true; what it is then."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)
    return found


def complaints(driver):
    """What the browser had to find fault with."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] != "INFO"]


def shoot(driver, path):
    """The whole page, however long."""
    height = driver.execute_script("return document.documentElement.scrollHeight")
    width = driver.execute_script("return window.innerWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    path.write_bytes(base64.b64decode(shot["data"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    machines = Machines("pump 1", "pump 2")
    machines.run(6000)
    live = PageServer("127.0.0.1:0", "Pumps", machines.history, machines.watcher.parameters)
    views = [(size, scheme) for size in SIZES for scheme in SCHEMES]
    with live, browser() as driver:
        for size, scheme in views:
            look(driver, live.url, size, scheme)
            for _ in range(8):
                machines.run(20)
                time.sleep(0.25)
            shoot(driver, folder / f"live-{size}-{scheme}.png")
        machines.end()
        path = folder / "report.html"
        write_report(path, "Pumps", machines.history, machines.series)
        for size, scheme in views:
            look(driver, path.as_uri(), size, scheme)
            time.sleep(0.3)
            shoot(driver, folder / f"report-{size}-{scheme}.png")
        for message in complaints(driver):
            print(message)
    print(*sorted(folder.glob("*.png")), sep="\n")


if __name__ == "__main__":
    main()
