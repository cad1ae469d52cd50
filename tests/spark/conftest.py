"""Tests of the fleet run once: the engine's processes have the learner as it is installed."""

import pytest

from tests.spark import job


def pytest_report_header():
    """Whether the engine can be run."""
    return f"java: {job.JAVA or 'none, and the tests that run Spark are skipped'}"


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""
