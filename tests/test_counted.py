"""Counts in words."""

import importlib
import pkgutil
import re

import pytest

import replay.sinks
import replay.sources
from online_gmm.data.counted import counted
from replay.cli.running import LEFT_OUT

ONE = {
    "rows": "1 row",
    "passes": "1 pass",
    "more files": "1 more file",
    "changes of regime": "1 change of regime",
    "sequence numbers that never came": "1 sequence number that never came",
    "rows are not later than the one before": "1 row is not later than the one before",
    "models were on disk": "1 model was on disk",
    "messages have come": "1 message has come",
    "rows that repeat the header": "1 row that repeats the header",
    "rows that sum up others": "1 row that sums up others",
    "rows without a time, learnt in their place": "1 row without a time, learnt in its place",
    "messages that are no JSON": "1 message that is no JSON",
    "values that are no number, taken as missing": "1 value that is no number, taken as missing",
    "rows with bytes that are not text": "1 row with bytes that are not text",
    "rows with a value that is no number": "1 row with a value that is no number",
}


@pytest.mark.parametrize("many", ONE)
def test_one(many):
    assert counted(1, many) == ONE[many]
    assert counted(0, many) == f"0 {many}"
    assert counted(12_345, many) == f"12,345 {many}"


def reasons():
    """Why rows are refused, and what else is counted of a series."""
    modules = [
        importlib.import_module(f"replay.sources.{its.name}")
        for its in pkgutil.iter_modules(replay.sources.__path__)
    ]
    texts = {text for its in modules for text in vars(its).values() if isinstance(text, str)}
    start = r"(?:rows|values|messages|blank lines)\b(?! looked)"
    return [*(text for text in texts if re.match(start, text)), *LEFT_OUT.values()]


def test_no_reason_speaks_of_one_as_of_many():
    found = reasons()
    assert len(found) > 20
    for reason in found:
        one = counted(1, reason)
        assert one != f"1 {reason}"
        assert not re.match(r"1 (\w+ )?(rows|values|messages|lines|gaps|steps|numbers)\b", one)
        assert not re.match(r"1 \w+ that (are|were|have|repeat|sum)\b", one)
