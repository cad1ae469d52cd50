"""The contract: every learner has every method, and the many-forms equal the one-forms."""

import functools
import itertools
import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import chi2

from online_gmm import Assignments, Constant, HalfLife, OnlineGMM, OnlineHMM, Segmenter, _kernel
from online_gmm.data.state import load
from tests.test_kernel import TYPES, blobs

ONE = ("predict_one", "predict_proba_one", "assign_one", "log_density_one", "score_one")
MANY = ("predict_many", "predict_proba_many", "assign_many", "log_density_many", "score_many")
METHODS = (
    *("learn_one", "learn_many", "label_then_learn_many", "fit_start", "reset_state"),
    *("to_bytes", "from_bytes", "events", "centers", "labels", "names", "rename", *ONE, *MANY),
)
GMM = {"n_components": 3, "warm_up": 80, "n_init": 2, "seed": 1}
HMM = {**GMM, "capacity": 160, "n_init": 2}
LEARNERS = {
    **{f"GMM {kind}": (OnlineGMM, {**GMM, "covariance_type": kind}) for kind in TYPES},
    "GMM with many labels": (OnlineGMM, {**GMM, "n_components": 12}),
    "GMM auto": (OnlineGMM, {**GMM, "n_components": "auto", "max_components": 4}),
    "GMM, last iterate": (OnlineGMM, {**GMM, "average": False}),
    "GMM recycled": (OnlineGMM, {**GMM, "recycle": True, "step_size": HalfLife(points=40.0)}),
    "GMM with a half-life of time": (
        OnlineGMM,
        {**GMM, "step_size": HalfLife(seconds=90.0), "time": "t"},
    ),
    "GMM, late skipped": (OnlineGMM, {**GMM, "time": "t", "late": "skip"}),
    "GMM, late learnt": (OnlineGMM, {**GMM, "time": "t", "late": "learn"}),
    "HMM": (OnlineHMM, HMM),
    "HMM diag": (OnlineHMM, {**HMM, "covariance_type": "diag", "tempering": 0.5, "lag": 3}),
    "HMM auto": (OnlineHMM, {**HMM, "n_components": "auto", "max_components": 4}),
    "HMM, last iterate": (OnlineHMM, {**HMM, "average": False}),
    "HMM with a half-life": (OnlineHMM, {**HMM, "step_size": HalfLife(points=90.0)}),
    "HMM in time": (OnlineHMM, {**HMM, "time": "t"}),
    "HMM, late skipped": (OnlineHMM, {**HMM, "time": "t", "late": "skip"}),
    "HMM, late learnt": (OnlineHMM, {**HMM, "time": "t", "late": "learn"}),
}
N = 420


def rows_of(name, n=N):
    """Rows with outliers, missing values, an unknown feature that comes late, and times."""
    X = blobs(n, 3, seed=3, missing=0.05)
    X[[20, 200]] = np.nan
    X[210] *= 1e4
    X[250:] += 25.0
    frame = pd.DataFrame(X, columns=list("abc"))
    if LEARNERS[name][1].get("time"):
        frame["t"] = np.cumsum(np.random.default_rng(1).exponential(1.0, n))
    if LEARNERS[name][1].get("late"):
        frame.loc[[33, 150, 300], "t"] = 0.0
    return frame


def points_of(frame):
    return frame.to_dict("records")


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel.

    `test_gmm` and `test_hmm` learn on both of them.
    """


@pytest.fixture(params=LEARNERS)
def name(request):
    return request.param


@pytest.fixture
def make(name):
    kind, settings = LEARNERS[name]
    return lambda **more: kind(**{**settings, **more})


@functools.cache
def learnt(name):
    """A learner that has learnt 200 rows, pickled: for all tests that begin with one."""
    kind, settings = LEARNERS[name]
    model = kind(**settings)
    model.learn_many(rows_of(name)[:200])
    return pickle.dumps(model)


@pytest.fixture
def started(name):
    return pickle.loads(learnt(name))


def at(frame, i, step=1.0):
    """Rows as they might come after i, in time."""
    rows = frame.copy()
    if "t" in rows:
        rows["t"] = 1e4 + step * np.arange(len(rows))
    return rows


class TestContract:
    def test_every_method_is_there(self, make):
        model = make()
        assert [name for name in METHODS if not hasattr(model, name)] == []

    def test_before_the_start_nothing_is_known(self, name, make):
        model, frame = make(warm_up=10), rows_of(name)[:4]
        for x in points_of(frame):
            assert model.predict_one(x) == -1
            assert model.predict_proba_one(x) == {}
            assert math.isnan(model.log_density_one(x))
            assert math.isnan(model.score_one(x))
            assert repr(model.assign_one(x)) == repr(Assignments.unknown(1).one(0))
        assert model.predict_many(frame).tolist() == [-1] * 4
        assert model.predict_proba_many(frame).shape == (4, 0)
        assert model.log_density_many(frame).isna().all()
        assert model.score_many(frame).isna().all()
        assert model.assign_many(frame)["label"].tolist() == [-1] * 4
        assert (model.centers, model.labels, model.events) == ({}, (), ())
        assert model.label_then_learn_many(frame).labels.tolist() == [-1] * 4
        assert model.n_points == 4

    def test_label_then_learn_many_is_assign_one_then_learn_one(self, name, make):
        frame = rows_of(name, 2500 if _kernel.COMPILED and "GMM" in name else N)
        frame["unknown"] = np.nan
        one, expected = make(features=list("abc")), []
        for x in points_of(frame):
            expected.append(one.assign_one(x))
            one.learn_one(x)
        assert one.n_late == (3 if name.endswith("skipped") else 0)
        assert one.n_unknown > 0
        born = [event.number for event in one.events if event.kind == "born"]
        gone = {event.number for event in one.events if event.kind in ("retired", "merged")}
        # numbers are given in turn, so the first one born tells how many there were
        n_first = born[0] if born else len(one.labels) + len(gone)
        assert born == list(range(n_first, n_first + len(born)))
        assert set(one.labels) == {*range(n_first), *born} - gone
        assert gone or name != "GMM recycled"
        assert {label for label, *_ in expected} > {-1}
        for cuts in ([0, len(frame)], [0, 40, 80, 81, 300, 301, len(frame)]):
            many = make(features=list("abc"))
            parts = [many.label_then_learn_many(frame[i:j]) for i, j in itertools.pairwise(cuts)]
            found = [part.one(i) for part in parts for i in range(len(part.labels))]
            assert repr(found) == repr(expected)
            assert many.to_bytes() == one.to_bytes()

    def test_learn_many_is_learn_one_of_each(self, name, make):
        frame = rows_of(name)
        one = make()
        for x in points_of(frame):
            one.learn_one(x)
        for cuts in ([0, N], [0, 40, 80, 81, 300, 301, N]):
            many = make()
            for i, j in itertools.pairwise(cuts):
                many.learn_many(frame[i:j])
            assert many.to_bytes() == one.to_bytes()

    def test_times_apart_are_times_in_a_column(self, name, make):
        frame = rows_of(name)
        if "t" not in frame:
            frame["t"] = np.arange(N) + 0.0
        bare, t = frame.drop(columns="t"), frame["t"].to_numpy()
        inside, beside, one = (make(time="t") for _ in range(3))
        inside.learn_many(frame[:200])
        beside.learn_many(bare[:200], t[:200])
        for x, moment in zip(points_of(bare)[:200], t.tolist(), strict=False):
            one.learn_one(x, moment)
        assert inside.to_bytes() == beside.to_bytes() == one.to_bytes()
        x, moment = points_of(bare)[201], float(t[201])
        for method in ONE:
            answer = getattr(one, method)
            assert answer(x, moment) == answer({**x, "t": moment})
        for method in MANY:
            answer = getattr(one, method)
            assert repr(answer(bare[201:], t[201:])) == repr(answer(frame[201:]))
        expected = inside.label_then_learn_many(frame[200:])
        assert repr(beside.label_then_learn_many(bare[200:], t[200:])) == repr(expected)

    def test_many_answers_are_those_of_one(self, name, make):
        """Row by row, with parameters that stay and a belief that moves on."""
        frozen = {"step_size": Constant(1e-300), "average": False, "prior_strength": 0.0}
        if "HMM" in name:
            frozen["stickiness"] = 0.0
        model, frame = make(**frozen), rows_of(name)
        model.learn_many(frame[:200])
        ahead = at(frame[200:260], 200)
        labels, scores = model.predict_many(ahead), model.score_many(ahead)
        probabilities, answers = model.predict_proba_many(ahead), model.assign_many(ahead)
        densities = model.log_density_many(ahead)
        for i, x in enumerate(points_of(ahead)):
            one = model.assign_one(x)
            assert model.predict_one(x) == one.label == labels.iloc[i]
            by_label = model.predict_proba_one(x)
            assert tuple(by_label) == model.labels
            assert probabilities.iloc[i].tolist() == pytest.approx(list(by_label.values()))
            assert max(by_label.values()) == one.probability
            assert sum(by_label.values()) == pytest.approx(1.0)
            assert model.log_density_one(x) == one.log_density == pytest.approx(densities.iloc[i])
            assert answers.iloc[i].tolist() == pytest.approx(list(one))
            assert scores.iloc[i] == pytest.approx(model.score_one(x), rel=1e-9)
            model.learn_one(x)

    def test_scores_are_tail_probabilities_beside_the_gate(self, name, started):
        frame = at(rows_of(name), 0)
        model = started
        scores, mixture = model.score_many(frame).to_numpy(), model.mixture
        X, outlier = frame[list("abc")].to_numpy(), model.assign_many(frame)["outlier"]
        for seen in np.unique(~np.isnan(X), axis=0):
            alike = (~np.isnan(X) == seen).all(axis=1)
            if not seen.any():
                assert (scores[alike] == 0.0).all()
                continue
            # of each row from the mean of each component
            away = X[alike][:, None, seen] - mixture.means[:, seen]
            inverses = np.linalg.inv(mixture.covariances[:, seen][:, :, seen])
            squares = np.einsum("nki,kij,nkj->nk", away, inverses, away).min(axis=1)
            # far out scipy's own tail is not a number
            near = squares <= 1e3
            expected = -chi2.logsf(squares[near], seen.sum()) / math.log(10.0)
            np.testing.assert_allclose(scores[alike][near], expected, rtol=1e-6)
        assert np.isfinite(scores).all()
        assert ((scores > 12.0) == outlier).all()
        assert outlier.any()

    def test_answers_change_nothing(self, name, started):
        ahead = at(rows_of(name)[200:240], 200)
        before = started.to_bytes(), pickle.dumps(started)
        for x in points_of(ahead):
            for method in ONE:
                getattr(started, method)(x)
        for method in MANY:
            getattr(started, method)(ahead)
        _ = started.labels, started.centers, started.events, started.mixture
        assert (started.to_bytes(), pickle.dumps(started)) == before

    def test_bad_values_are_refused_and_change_nothing(self, name, started):
        ahead = at(rows_of(name)[200:240], 200)
        before = started.to_bytes()
        bad = points_of(ahead)[0] | {"b": math.inf}
        for method in ("learn_one", *ONE):
            with pytest.raises(ValueError, match="feature 'b' is inf"):
                getattr(started, method)(bad)
        ahead.loc[ahead.index[7], "b"] = math.inf
        for method in ("learn_many", "label_then_learn_many", *MANY):
            with pytest.raises(ValueError, match="row 7: feature 'b' is inf"):
                getattr(started, method)(ahead)
        assert started.to_bytes() == before

    def test_late_rows_are_refused_as_a_whole(self, name, make):
        model, frame = make(time="t", late="raise"), rows_of(name)
        frame["t"] = np.arange(N) + 0.0
        model.learn_many(frame[:200])
        before = model.to_bytes()
        rows = frame[200:240].copy()
        rows.loc[207, "t"] = 1.0
        for method in ("learn_many", "label_then_learn_many"):
            with pytest.raises(ValueError, match=r"row 7: time .* is not after"):
                getattr(model, method)(rows)
        assert model.to_bytes() == before

    def test_points_without_a_known_name_are_unknown(self, name, started):
        extra = {"t": 2e4} if "t" in rows_of(name) else {}
        x, frame = {"z": 1.0, **extra}, pd.DataFrame([{"z": 1.0, **extra}])
        for method in ONE:
            with pytest.warns(UserWarning, match="knows none of the features 'z'"):
                answer = getattr(started, method)(x)
            assert repr(answer) in ("-1", "{}", "nan", repr(Assignments.unknown(1).one(0)))
        for method in MANY:
            with pytest.warns(UserWarning, match="knows none of the features 'z'"):
                getattr(started, method)(frame)
        unknown, empty = started.n_unknown, started.n_empty
        twin = load(started.to_bytes())
        with pytest.warns(UserWarning, match="knows none of the features 'z'"):
            assert started.label_then_learn_many(frame).labels.tolist() == [-1]
        assert (started.n_unknown, started.n_empty) == (unknown + 1, empty + 1)
        with pytest.warns(UserWarning, match="passed over from now on: 'z'"):
            twin.learn_one(x)
        assert twin.to_bytes() == started.to_bytes()

    def test_bytes_go_on_as_the_model_would(self, name, make):
        started, frame = make(), rows_of(name)
        started.learn_many(frame[:200])
        again = type(started).from_bytes(started.to_bytes())
        assert again.labels == started.labels
        rest = frame[200:]
        if LEARNERS[name][1].get("late") == "skip":
            rest = rest.drop(index=300)
        found = [model.label_then_learn_many(rest) for model in (started, again)]
        assert repr(found[0]) == repr(found[1])
        assert again.to_bytes() == started.to_bytes()

    def test_frames_come_back_as_they_came(self, name, started):
        frame = at(rows_of(name)[200:260], 200)
        polars = pl.DataFrame(frame.to_dict("list"))
        for method in ("predict_many", "log_density_many", "score_many"):
            answer = getattr(started, method)
            assert isinstance(answer(frame), pd.Series)
            assert isinstance(answer(polars), pl.Series)
            np.testing.assert_array_equal(answer(polars).to_numpy(), answer(frame).to_numpy())
        for method in ("predict_proba_many", "assign_many"):
            answer = getattr(started, method)
            pd.testing.assert_index_equal(answer(frame).index, frame.index)
            assert isinstance(answer(polars), pl.DataFrame)

    def test_centers_are_those_of_the_mixture(self, started):
        assert tuple(started.centers) == started.labels
        means = [list(center.values()) for center in started.centers.values()]
        np.testing.assert_array_equal(means, started.mixture.means)

    def test_names_stay_with_their_labels(self, name, make):
        model, frame = make(late="learn"), rows_of(name)
        with pytest.raises(ValueError, match="no label 0; the labels are none yet"):
            model.rename(0, "idle")
        model.learn_many(frame[:200])
        last = model.labels[-1]
        model.rename(last, "run")
        model.rename(0, "off")
        model.rename(0, "idle")
        model.rename(last, None) if last else None
        assert model.names == {0: "idle"}
        with pytest.raises(ValueError, match="no label 99"):
            model.rename(99, "fault")
        for bad in ("", " ", 7):
            with pytest.raises(ValueError, match="text is expected"):
                model.rename(0, bad)
        again = type(model).from_bytes(model.to_bytes())
        assert pickle.loads(pickle.dumps(model)).names == again.names == {0: "idle"}
        # past a point where all is fitted again
        again.learn_many(frame[200:])
        assert again.names == {0: "idle"}
        named = {event.name for event in again.events if event.number == 0}
        assert named <= {"idle"}

    def test_an_array_is_refused_where_features_have_names(self, name, make):
        model, frame = make(late="learn"), rows_of(name)
        t = frame["t"].to_numpy() if "t" in frame else None
        values = frame[list("abc")].to_numpy()
        for x in points_of(frame)[:30]:
            model.learn_one(x)
        before = model.to_bytes()
        for method in ("learn_many", "fit_start", "label_then_learn_many", *MANY):
            with pytest.raises(ValueError, match="an array has no names of features"):
                getattr(model, method)(values, t)
        assert model.to_bytes() == before
        model.learn_many(frame[30:200])
        with pytest.raises(ValueError, match="an array has no names of features"):
            model.learn_many(values[200:], None if t is None else t[200:])
        named, unnamed = make(features=list("abc"), late="learn"), make(late="learn")
        named.learn_many(values[:200], None if t is None else t[:200])
        assert named.mixture.features == ("a", "b", "c")
        unnamed.learn_many(values[:200], None if t is None else t[:200])
        assert unnamed.mixture.features == (0, 1, 2)
        np.testing.assert_array_equal(unnamed.mixture.means, named.mixture.means)

    def test_masked_values_are_missing(self, name, make):
        frame = rows_of(name)
        masked = np.ma.masked_invalid(frame[list("abc")].to_numpy())
        masked.data[masked.mask] = -9999.0
        t = frame["t"].to_numpy() if "t" in frame else None
        one, many, labelled, expected = (make(features=list("abc"), late="learn") for _ in range(4))
        expected.learn_many(frame)
        many.learn_many(masked, t)
        labelled.label_then_learn_many(masked, t)
        for i, row in enumerate(masked):
            one.learn_one(dict(zip("abc", row, strict=True)), None if t is None else t[i])
        assert one.to_bytes() == many.to_bytes() == labelled.to_bytes() == expected.to_bytes()

    def test_an_arrow_table_is_a_frame(self, name, make):
        frame = rows_of(name)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        one, other = make(), make()
        assert repr(one.label_then_learn_many(table)) == repr(other.label_then_learn_many(frame))
        assert one.to_bytes() == other.to_bytes()
        ahead = pa.Table.from_pandas(at(frame, 0), preserve_index=False)
        for method in MANY:
            answer, expected = getattr(one, method)(ahead), getattr(one, method)(at(frame, 0))
            np.testing.assert_array_equal(answer.to_pandas(), expected)

    def test_an_interruption_keeps_what_is_learnt(self, name, started):
        mixture = started.mixture
        started.reset_state()
        assert started.mixture.error(mixture) == 0.0
        started.learn_one(points_of(at(rows_of(name), 0))[210])


SEGMENTERS = {
    "Segmenter": lambda: Segmenter(features=list("abc")),
    "Segmenter over GMM": lambda: Segmenter(OnlineGMM(**GMM, features=list("abc")), confirm=2),
    "Segmenter over HMM": lambda: Segmenter(OnlineHMM(**HMM, features=list("abc")), min_dwell=3),
}


@pytest.mark.parametrize("name", SEGMENTERS)
class TestSegmenterContract:
    """A segmenter answers to the same methods, with the regime for the label."""

    def rows(self):
        rows = rows_of("HMM", 900)
        rows[list("ab")] += np.repeat([0.0, 60.0, 0.0], 300)[:, None]
        return rows

    def test_every_method_is_there(self, name):
        model = SEGMENTERS[name]()
        assert [m for m in METHODS if not hasattr(model, m) and m != "fit_start"] == []
        x = {"a": 1.0, "b": 2.0, "c": 3.0}
        assert model.predict_one(x) == -1
        assert repr(model.assign_one(x)) == repr(Assignments.unknown(1).one(0))

    def test_label_then_learn_many_is_assign_one_then_learn_one(self, name):
        frame, one, many = self.rows(), SEGMENTERS[name](), SEGMENTERS[name]()
        learnt, expected = SEGMENTERS[name](), []
        for x in points_of(frame):
            expected.append(one.assign_one(x))
            one.learn_one(x)
        assert len({label for label, *_ in expected}) > 1
        found = []
        for i, j in itertools.pairwise([0, 40, 81, 300, 301, 900]):
            answers = many.label_then_learn_many(frame[i:j])
            found += [answers.one(k) for k in range(j - i)]
            learnt.learn_many(frame[i:j])
        assert repr(found) == repr(expected)
        assert many.to_bytes() == one.to_bytes() == learnt.to_bytes()

    def test_answers_change_nothing(self, name):
        model, frame = SEGMENTERS[name](), self.rows()
        model.learn_many(frame[:600])
        before = model.to_bytes()
        for x in points_of(frame[600:620]):
            for method in ONE:
                getattr(model, method)(x)
        for method in MANY:
            getattr(model, method)(frame[600:])
        _ = model.labels, model.centers, model.events, model.names, model.current
        assert model.to_bytes() == before
