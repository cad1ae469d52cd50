"""Rows of many keys by column: keys as numbers, texts that are cut, rows that are held."""

import numpy as np
import pytest

from online_gmm import OnlineGMM
from replay.engine import fleet as fleets
from replay.engine.batch import Batch, CutTexts, ListTexts, Places
from replay.engine.fleet import Fleet
from replay.engine.keys import Keys
from replay.engine.order import SeriesOptions
from replay.engine.series import Series

PLACES = Places(1, 2, (0,))


def rows_of(n, keys=3, first=0, cut=True):
    """Rows of keys that take turns, cut out of bytes or read one by one."""
    rng = np.random.default_rng(first)
    values = rng.normal(rng.choice([0.0, 9.0], size=n), 1.0).round(3)
    names = [f"k{(first + i) % keys}" for i in range(n)]
    times = [f"t{first + i}" for i in range(n)]
    written = [str(value) for value in values.tolist()]
    if cut:
        data, bounds = bytearray(), np.empty((2, n, 3), dtype=np.int32)
        for j, column in enumerate((written, times, names)):
            for i, cell in enumerate(column):
                bounds[0, i, j] = len(data)
                data += cell.encode() + b"|"
                bounds[1, i, j] = len(data) - 1
        texts = CutTexts(data, *bounds, PLACES, True)
    else:
        texts = ListTexts(times, [(cell,) for cell in written])
    lines = np.arange(first, first + n)
    return Batch(("x",), values[:, None], texts, lines, Keys.of(names))


def fleet_of(at_most=None):
    return Fleet(
        lambda: Series(OnlineGMM(2, warm_up=40, n_init=2, seed=1, features=("x",))),
        lambda data: Series.from_bytes(data, ("x",), SeriesOptions()),
        at_most,
    )


def test_rows_are_grouped_by_their_keys():
    rng = np.random.default_rng(1)
    names = [f"k{i}" for i in rng.integers(40, size=500)]
    keys = Keys.joined([Keys.of(names[:123]), Keys.of(names[123:])])
    assert list(keys) == names
    assert (keys[7], list(keys[3:9])) == (names[7], names[3:9])
    order, groups = keys.part(np.arange(100, 400)).groups()
    part = names[100:400]
    assert [key for key, _, _ in groups] == list(dict.fromkeys(part))
    for key, first, end in groups:
        assert order[first:end].tolist() == [i for i, name in enumerate(part) if name == key]
    assert sum(end - first for _, first, end in groups) == 300


def test_names_that_do_not_occur_are_let_go():
    keys = Keys.of(["a", "b", "a", "c"])
    assert [keys.part(np.array(its)).copy().names for its in ([0, 2], [3, 1])] == [
        ["a"],
        ["c", "b"],
    ]
    assert Keys.of(()).groups()[1] == []


@pytest.mark.parametrize("cut", [True, False])
def test_a_copy_has_bytes_of_its_own(cut):
    batch = rows_of(50, cut=cut)
    part = batch.take(np.array([3, 40, 11]))
    for again in (part.copy(), part.copy().copy(), Batch.of_state(part.state())):
        assert list(again.rows()) == list(part.rows())
    if cut:
        assert len(part.copy().texts.data) < 40


def test_rows_that_are_cut_and_others_are_joined():
    batches = [rows_of(5), rows_of(7, first=5, cut=False), rows_of(4, first=12)]
    joined = Batch.joined([*batches, batches[0].part(1, 3)])
    assert isinstance(joined.texts, CutTexts)
    assert joined.texts.bare
    expected = [row for batch in (*batches, batches[0].part(1, 3)) for row in batch.rows()]
    assert list(joined.rows()) == expected
    odd = Batch(("x",), batches[1].values, ListTexts(["a,b"] * 7, [("1",)] * 7), batches[1].lines)
    assert not Batch.joined([batches[0], odd]).texts.bare


def labelled_rows(fleet, batches):
    """All rows, and where in them which segments ended."""
    rows, ended = [], []
    for batch in batches:
        for labelled in fleet.label(batch):
            ended += [one._replace(row=len(rows) + one.row) for one in labelled.ended()]
            rows += labelled.rows()
    return rows, ended


@pytest.mark.parametrize("at_most", [None, 2])
def test_what_comes_out_does_not_depend_on_batches(at_most, monkeypatch):
    """Nor on how many rows are handed on together, nor on keys that are parked meanwhile."""
    whole = rows_of(900, keys=5)
    expected = labelled_rows(fleet_of(), [whole])
    monkeypatch.setattr(fleets, "MOST_OUT", 100)
    fleet = fleet_of(at_most)
    parts = [whole.part(0, 150), whole.part(150, 190), whole.part(190, 900)]
    assert labelled_rows(fleet, parts) == expected
    assert (fleet.n_parked > 0) == (at_most is not None)
    states = dict(fleet.states())
    again = Fleet(fleet._make, fleet._load)
    again.restore(states.items())
    more = rows_of(50, keys=5, first=900)
    assert labelled_rows(again, [more]) == labelled_rows(fleet, [more])


def test_checkpoints_have_rows_that_were_parked():
    batch = rows_of(90, keys=5)
    fleet, parked = fleet_of(), fleet_of(1)
    for its in (fleet, parked):
        assert not list(its.label(batch))
    assert dict(parked.states()) == dict(fleet.states())
