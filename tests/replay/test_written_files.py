"""Files of any delimiter, decimal mark, encoding, header, time and unit are read as written."""

import math
from pathlib import Path

import pytest
from batches import one_by_one
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_files import Written, written_files

from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from tests.fuzz import files

CORPUS = sorted((Path(__file__).parents[1] / "fuzz" / "corpus" / "files").iterdir())


def judge(written: Written, path, by_default=False) -> None:
    """Read a file, and compare with what was written."""
    path.write_bytes(written.data)
    style = Style(encoding=written.encoding)
    reading = (
        ReadOptions() if by_default else ReadOptions((written.value,), written.time, timed=True)
    )
    source = Files([str(path)], reading, style)
    assert source.values == (written.value,)
    assert source.time == written.time.replace(",", " ")
    rows = list(one_by_one(source))
    values = [row.values[written.value] for row in rows]
    assert len(rows) == len(written.values)
    for value, expected in zip(values, written.values, strict=True):
        assert value == expected or (expected is None and math.isnan(value))
    if not by_default:
        assert [row.seconds for row in rows] == written.seconds


@pytest.mark.parametrize("by_default", [False, True])
def test_files_are_read_as_written(by_default, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "rows.csv"

    @settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
    @given(written_files())
    def read(written):
        judge(written, path, by_default)

    read()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_fuzzing_has_found_stays_mended(path):
    files.run(path.read_bytes())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=12, max_size=120))
def test_a_file_of_any_bytes(data):
    files.run(data)
