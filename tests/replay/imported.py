"""All that a replay imports, at once: a process that is forked from here costs its rows only."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import pandas  # noqa: F401
import pyarrow
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import scipy.cluster.vq
import scipy.optimize
import scipy.special  # noqa: F401
from typer.main import get_command

import replay.cli.running
import replay.sinks.costs
import replay.sources.csv_file
import replay.views.tables  # noqa: F401
from replay.cli.app import app

COMMAND = get_command(app)
# options are read once, with all that this imports
for name, *words in (["run", "-"], ["live", "-"], ["land", "-", "landed"]):
    COMMAND.commands[name].make_context(name, [*words, "--value", "x"])
