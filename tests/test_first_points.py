"""Points kept until a learner begins: one by one or as rows, it is the same."""

import math

import numpy as np
import pandas as pd
import pytest

from online_gmm import OnlineGMM
from online_gmm.learners.first_points import FirstPoints


def test_points_are_given_back():
    points = FirstPoints()
    given = [{"a": 1.0}, {"a": 2.0}, {"b": 3.0, "a": math.inf}, {"a": 4.0}]
    for point in given:
        points.add(tuple(point), point.values())
    points.add_rows(("a",), np.array([[5.0], [6.0]]))
    given += [{"a": 5.0}, {"a": 6.0}]
    assert list(points) == given
    assert (len(points), points.since(2), points.since(9)) == (6, given[2:], [])
    assert [list(points.names(n)) for n in (0, 2, 3)] == [[], ["a"], ["a", "b"]]
    expected = [[math.nan, 1.0], [math.nan, 2.0], [3.0, math.inf]]
    np.testing.assert_array_equal(points.matrix(("b", "a"), 3), expected)
    points.restrict(slice(1, -1))
    assert list(points) == given[1:-1]


@pytest.mark.filterwarnings("ignore:no value of 'c'")
@pytest.mark.parametrize("features", [None, ("b", "a"), ("a", "c")])
def test_rows_are_kept_as_points_are(features):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 2))
    X[rng.random((120, 2)) < 0.3] = np.nan
    names = ("a", "b")
    t = np.arange(120.0)
    one, many, labelled = (
        OnlineGMM(2, warm_up=60, n_init=2, features=features, seed=1) for _ in range(3)
    )
    frame = pd.DataFrame(X, columns=names)
    for begin, end in ((0, 7), (7, 50), (50, 75), (75, 120)):
        for row, seconds in zip(X[begin:end].tolist(), t[begin:end].tolist(), strict=True):
            one.learn_one(dict(zip(names, row, strict=True)), seconds)
        many.learn_many(frame[begin:end], t[begin:end])
        labelled.label_then_learn_many(frame[begin:end], t[begin:end])
        assert many.to_bytes() == one.to_bytes()
        assert labelled.to_bytes() == one.to_bytes()
    assert one.n_empty > 0
