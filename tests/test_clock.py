"""Times of a column are those of its values one by one."""

import datetime

import numpy as np
import pytest

from online_gmm.data.clock import seconds, seconds_of_column

UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
TIMES = 1.7e9 + np.random.default_rng(1).uniform(-2e9, 2e9, 50)
COLUMNS = [
    TIMES,
    TIMES[::2],
    TIMES.astype(np.float32),
    TIMES.astype(np.longdouble),
    TIMES.astype(np.int64),
    np.array([0, 2**63 + 1, 2**64 - 1], dtype=np.uint64),
    *((TIMES * 10**digits).astype(f"datetime64[{unit}]") for unit, digits in UNITS.items()),
    np.array(["1677-01-01", "2300-05-05"], dtype="datetime64[D]"),
    np.array([1.5, datetime.datetime(2022, 3, 4), np.datetime64("2022-03-04T05")], dtype=object),
    np.array([]),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))
def test_a_column_has_the_times_of_its_values(column):
    found = seconds_of_column(column, "t")
    assert found.dtype == np.float64
    assert found.tolist() == [seconds(value) for value in column]
    assert not np.shares_memory(found, column)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (np.array([1.0, np.nan]), "row 1: time 't' is .*nan.*; every point needs a finite time"),
        (np.array([1.0, 2.0, -np.inf]), "row 2: time 't' is .*inf.*; every point needs a finite"),
        (np.array([1.0, 1e151]), "row 1: time 't' is .*beyond 1e"),
        (np.array(["2022-03-04", "NaT"], dtype="datetime64[s]"), "row 1: time 't' is .*NaT"),
        (np.array([1, 2, np.longdouble("1e4000")]), "row 2: time 't' is"),
    ],
)
def test_what_is_no_time_is_named_by_its_row(column, said):
    with pytest.raises(ValueError, match=said):
        seconds_of_column(column, "t")
