"""Tests of the fleet run once: the engine's processes have the learner as it is installed."""

import os
from pathlib import Path

import pytest

from tests.spark import job


def pytest_report_header():
    """Whether the engine can be run."""
    return f"java: {job.JAVA or 'none, and the tests that run Spark are skipped'}"


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""


@pytest.fixture(scope="session", autouse=True)
def _engine_without_archives(tmp_path_factory):
    """Let the engine's processes import PySpark as it is installed.

    Each of them would compile anew what it imports from the archives that come with it.
    """
    import pyspark

    installed = Path(pyspark.__file__).parent
    if "SPARK_HOME" in os.environ or not (installed / "jars").is_dir():
        yield
        return
    home = tmp_path_factory.mktemp("engine")
    for part in installed.iterdir():
        if part.name != "python":
            (home / part.name).symlink_to(part)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARK_HOME", str(home))
        yield
