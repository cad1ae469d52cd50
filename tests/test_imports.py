"""What is imported when: start is quick because little is."""

import subprocess
import sys
from pathlib import Path

import pytest

import online_gmm
from online_gmm import OnlineHMM, RollingFeatures, Segmenter

HEAVY = {"scipy", "pandas", "narwhals", "pyarrow", "matplotlib", "bokeh", "polars", "msgspec"}


@pytest.fixture
def kernel() -> None:
    """Once is enough: in subprocesses the kernel is the installed one anyway."""


def loaded_by(code: str) -> set[str]:
    """The packages that a fresh interpreter has after this."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return set(said.stdout.splitlines()[-1].split())


def test_the_package_alone_imports_nothing() -> None:
    assert not loaded_by("import online_gmm") & {*HEAVY, "numpy", "river"}


def test_a_learner_imports_numpy_and_the_base_of_river() -> None:
    loaded = loaded_by("from online_gmm import OnlineGMM, OnlineHMM, Segmenter")
    assert {"numpy", "river"} <= loaded
    assert not loaded & HEAVY - {"msgspec"}


def test_learning_points_and_arrays_imports_nothing_more() -> None:
    loaded = loaded_by(
        "import numpy\n"
        "from online_gmm import OnlineGMM\n"
        "rng = numpy.random.default_rng(1)\n"
        "X = rng.normal(size=(1000, 2)) + 6.0 * rng.integers(0, 2, (1000, 1))\n"
        "model = OnlineGMM(2, seed=1)\n"
        "model.learn_many(X)\n"
        "model.predict_one(dict(enumerate(X[0].tolist())))\n"
        "model.to_bytes()\n"
    )
    assert not loaded & HEAVY - {"msgspec"}


@pytest.mark.parametrize(
    "learner", ["OnlineGMM('auto', seed=1)", "OnlineHMM(3, seed=1)", "Segmenter()"]
)
def test_points_are_learnt_without_an_import(learner: str) -> None:
    """An import stops the stream for longer than a call may take."""
    loaded_by(
        "import numpy, sys\n"
        "from online_gmm import OnlineGMM, OnlineHMM, Segmenter\n"
        f"model = {learner}\n"
        "rng = numpy.random.default_rng(1)\n"
        "X = rng.normal(size=3000) + 8.0 * numpy.repeat(rng.integers(0, 3, 30), 100)\n"
        "before = set(sys.modules)\n"
        "for x in X.tolist():\n"
        "    model.predict_one({'x': x})\n"
        "    model.learn_one({'x': x})\n"
        "assert len(model.labels) == 3, model.labels\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
    )


def test_the_replay_of_a_file_imports_no_more_either() -> None:
    series = Path(__file__).parents[1] / "examples" / "first_series.csv"
    loaded = loaded_by(
        "import contextlib, sys\n"
        f"sys.argv = ['replay', 'run', {str(series)!r}, '--value', 'value']\n"
        "from replay.__main__ import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
    )
    assert not loaded & HEAVY - {"msgspec"}


def test_every_public_name_is_there() -> None:
    for name in online_gmm.__all__:
        assert getattr(online_gmm, name).__name__ in (name, f"online_gmm.{name}")
    assert set(online_gmm.__all__) <= set(dir(online_gmm))


@pytest.mark.parametrize("module", ["data", "em", "features", "learners", "segmentation"])
def test_modules_are_attributes(module: str) -> None:
    loaded_by(f"import online_gmm; assert online_gmm.{module}.__name__ == 'online_gmm.{module}'")


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="attribute OnlineKMeans"):
        _ = online_gmm.OnlineKMeans  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "written", [RollingFeatures(3, ["mean"]), OnlineHMM(2), Segmenter(OnlineHMM(2))]
)
def test_states_are_loaded_before_their_class_is_imported(written: object) -> None:
    kind, data = type(written).__name__, written.to_bytes()  # type: ignore[attr-defined]
    loaded_by(
        f"from online_gmm.data import state; assert type(state.load({data!r})).__name__ == {kind!r}"
    )
