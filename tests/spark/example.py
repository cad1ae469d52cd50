"""The example of a fleet, `examples/fleet.py`, as a module."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[2] / "examples" / "fleet.py"

_spec = importlib.util.spec_from_file_location("fleet", PATH)
fleet = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fleet)
