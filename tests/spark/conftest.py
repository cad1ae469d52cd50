"""Tests of the fleet run once: the engine's processes have the learner as it is installed."""

import pytest


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""
