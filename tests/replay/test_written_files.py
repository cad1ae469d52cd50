"""Files of any delimiter, decimal mark, encoding, header, time and unit are read as written."""

import math

import pytest
from batches import one_by_one
from hypothesis import HealthCheck, given, settings
from written_files import Written, written_files

from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions


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

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(written_files())
    def read(written):
        judge(written, path, by_default)

    read()
