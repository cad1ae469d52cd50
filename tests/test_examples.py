"""The examples run, and say what they are meant to show."""

import csv
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from river.datasets import WaterFlow
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from online_gmm import OnlineHMM

EXAMPLES = Path(__file__).parent.parent / "examples"

# As the thread has them, with a step of their last digit.
GOLDEN_MEANS = ([24.5663, 37.5757, 44.3396], [1e-4, 1e-4, 1e-4])
GOLDEN_VARIANCES = ([0.14392, 24.494, 0.14256], [1e-5, 1e-3, 1e-5])
GOLDEN_WEIGHTS = ([0.15825, 0.30452, 0.53723], [1e-5, 1e-5, 1e-5])
GOLDEN = (GOLDEN_MEANS, GOLDEN_VARIANCES, GOLDEN_WEIGHTS)
GOLDEN_LOG_LIKELIHOOD = -2.12372
# The second mean is 37.575751: the golden 37.5757 is cut rather than rounded.
CUT = 37.5757


@pytest.fixture(autouse=True)
def kernel():
    """Once is enough: in subprocesses the kernel is the installed one anyway."""
    return None


def imported(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def first_series() -> ModuleType:
    return imported("first_series")


@pytest.fixture(scope="module")
def x(first_series):
    return np.loadtxt(first_series.SERIES, skiprows=1)


def run(script, *arguments, cwd):
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys):
    """Run a script in this process; what it prints."""

    def run_it(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return run_it


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What the script prints, and the directory it ran in."""
    directory = tmp_path_factory.mktemp("first_series")
    return run("first_series.py", cwd=directory), directory


def parsed(text, name):
    """The parameters and the log-likelihood in the one row of this name."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name:16}"))
    cells = line[16:].split("|")
    return [np.array(cell.split(), dtype=float) for cell in cells[:3]], float(cells[3].split()[0])


def assert_golden(parameters, log_likelihood):
    for values, (golden, last_digits) in zip(parameters, GOLDEN, strict=True):
        for value, expected, last_digit in zip(values, golden, last_digits, strict=True):
            allowed = last_digit if expected == CUT else last_digit / 2
            assert abs(value - expected) <= allowed + 1e-9
    assert abs(log_likelihood - GOLDEN_LOG_LIKELIHOOD) <= 0.5e-5 + 1e-9


def assert_near_golden(parameters, tolerance):
    for values, (golden, _) in zip(parameters, GOLDEN, strict=True):
        np.testing.assert_allclose(values, golden, rtol=tolerance)


def is_collapsed(fit):
    return bool(fit.variances.min() < 1e-3)


def test_series_stands_still_where_it_should(x):
    assert len(x) == 50
    values, counts = np.unique(x, return_counts=True)
    assert dict(zip(values, counts, strict=True))[44.44571429] == 13
    assert dict(zip(values, counts, strict=True))[43.66666667] == 5


@pytest.mark.parametrize("name", ["k-means, EM", "OnlineGMM, 0"])
def test_golden_values_are_printed(output, name):
    assert_golden(*parsed(output[0], name))


def test_default_prior_is_within_two_percent_and_says_so(output):
    parameters, log_likelihood = parsed(output[0], "OnlineGMM")
    assert_near_golden(parameters, 0.02)
    assert log_likelihood == pytest.approx(GOLDEN_LOG_LIKELIHOOD, rel=0.02)
    (line,) = (line for line in output[0].splitlines() if line.startswith(f"{'OnlineGMM':16}"))
    said = float(line.split("within")[1].split("%")[0])
    assert 0 < said < 2


def test_no_prior_agrees_with_textbook_em(first_series, x):
    textbook = first_series.textbook_em(x, *first_series.k_means_start(x, 3))
    ours, _ = first_series.project_answer(x, 3, prior_strength=0.0)
    assert first_series.largest_difference(ours, textbook) < 1e-6


def test_first_attempt_fails_on_every_seed(first_series, x):
    kinds = set()
    for seed in range(30):
        fit = first_series.first_attempt(x, 3, seed)
        # normalised over the points, every component claims as much as every other
        np.testing.assert_allclose(fit.weights, 1 / 3)
        log_likelihood = first_series.log_likelihood(x, fit)
        assert np.isnan(log_likelihood) or log_likelihood < GOLDEN_LOG_LIKELIHOOD - 1
        kinds.add(first_series.diagnosis(fit))
        assert (fit.variances == 0).any() == np.isnan(log_likelihood)
    assert kinds == {"collapsed to no width", "equal components", "too narrow, all of one weight"}


def test_first_attempt_shows_equal_and_zero_in_the_seeds_printed(first_series, x):
    fits = [first_series.first_attempt(x, 3, seed) for seed in range(8)]
    assert any((fit.variances == 0).any() for fit in fits)
    assert any(np.ptp(fit.means) < 0.01 for fit in fits)


def test_random_starts_without_prior_win_by_collapsing(first_series, x):
    fits = [
        first_series.textbook_em(x, *first_series.random_start(x, 3, seed)) for seed in range(100)
    ]
    likeliest = max(fits, key=lambda fit: first_series.log_likelihood(x, fit))
    assert is_collapsed(likeliest)
    assert first_series.log_likelihood(x, likeliest) > GOLDEN_LOG_LIKELIHOOD + 0.5
    narrow = np.argmin(likeliest.variances)
    assert likeliest.means[narrow] == pytest.approx(44.44571429, abs=1e-3)
    # and those that do not collapse never beat the golden answer
    others = [first_series.log_likelihood(x, fit) for fit in fits if not is_collapsed(fit)]
    assert max(others) == pytest.approx(GOLDEN_LOG_LIKELIHOOD, abs=1e-5)


def test_default_settings_never_collapse(first_series, x):
    for seed in range(40):
        fit, labels = first_series.project_answer(x, 3, seed)
        assert fit.variances.min() > 0.1
        assert_near_golden(fit, 0.02)
        assert sorted(set(labels)) == [0, 1, 2]


def test_many_random_starts_do_not_win_by_collapsing(first_series, x):
    """More restarts mean more chances to fall into the trap."""
    fit, _ = first_series.project_answer(x, 3, n_init=200)
    assert_near_golden(fit, 0.02)


def test_plot_is_saved_by_default_and_where_it_is_asked_for(
    output, first_series, tmp_path, monkeypatch
):
    assert (output[1] / "first_series.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    # what is printed takes its time, and has no part in the plot
    for name in ("show_first_attempt", "show_random_starts", "show_seeds"):
        monkeypatch.setattr(first_series, name, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["first_series.py", "--plot", "other.png"])
    first_series.main()
    assert [path.name for path in tmp_path.iterdir()] == ["other.png"]
    assert (tmp_path / "other.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_pipeline(run_here, tmp_path):
    text = run("pipeline.py", cwd=tmp_path)
    assert text == run_here("pipeline.py")
    (progressive,) = (line for line in text.splitlines() if "progressively" in line)
    (afterwards,) = (line for line in text.splitlines() if "afterwards" in line)
    assert float(progressive.split()[0]) > 0.7
    assert float(afterwards.split()[0]) > 0.99
    assert text.count("label 2:") == 2


def test_pipeline_does_not_depend_on_a_lucky_stream():
    scaled_sensors = imported("pipeline").scaled_sensors
    scores = np.array([scaled_sensors(seed) for seed in range(10)])
    assert scores[:, 0].min() > 0.7  # the warm-up, a ninth of the stream, has but one label
    assert scores[:, 1].min() > 0.98


def test_water_flow(run_here, tmp_path):
    text = run_here("water_flow.py", "--plot", "flow.png")
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    readings = [(x["Time"], y) for x, y in WaterFlow()]
    shut = [f"{t:%d %b %H:%M}" for t, y in readings[168:] if y < 25.0]
    # two stays at 24 l/s after the warm-up, each reported at its second reading
    found = re.findall(r"(.{12}): in regime 0 since (.{12}),", text)
    assert len(found) == 2
    for reported, since in found:
        at = shut.index(since)
        assert shut[at + 1] == reported
    assert shut.index(found[0][1]) == 0
    assert text.count(": in regime 1 since") + text.count(": in regime 2 since") < 8

    model = OnlineHMM(3, order_by="flow", warm_up=168, seed=1)
    for t, y in readings:
        model.learn_one({"flow": y}, t)
    lines = [re.split(r"  +", line) for line in re.findall(r"^[012]  .*", text, re.MULTILINE)]
    assert [line[1].split()[0] for line in lines] == [f"{m:.1f}" for m in model.mixture.means[:, 0]]
    assert [line[2] for line in lines] == [f"{w:.1%}" for w in model.mixture.weights]
    hours = model.dwell / 3600
    assert [line[3] for line in lines] == [
        *(f"{stay:.1f} h" for stay in hours[:2]),
        f"{hours[2] / 24:.1f} days",
    ]


def test_bands(run_here, tmp_path):
    run_here("bands.py", "--plot", "flow.png")
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    times, flow, segments, changes = imported("bands").found()
    assert {segment.label for segment in segments} == {0, 1}
    shut = [t for t, y in zip(times, flow, strict=True) if y < 25.0]
    # every reading at 24 l/s is in a band of regime 1, and no band is without one
    bands = [segment for segment in segments if segment.label == 1]
    assert all(any(band.start <= t <= band.end for band in bands) for t in shut)
    assert sum(band.n for band in bands) < 2 * len(shut)
    assert changes[-1].why[0].channel == "flow"
    assert changes[-2].why[0].kind == "level"


@pytest.fixture
def states():
    """Three states of 30 to 70 rows, in no order."""
    rng = np.random.default_rng(4)
    runs = [np.full(rng.integers(30, 70), k) for k in (0, 1, 0, 2, 1, 2, 0, 1, 0, 2, 1, 0) * 2]
    return np.concatenate(runs)


@pytest.fixture
def with_truth(states, tmp_path):
    """A file of these states and two columns that tell of them, at uneven times."""
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.integers(1, 5, len(states)))
    path = tmp_path / "machine.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mode", "rpm", "when", "amps"])
        for state, time in zip(states, times, strict=True):
            values = rng.normal([900.0 + 100.0 * state, 3.0 + (state == 1)], [60.0, 0.6])
            writer.writerow(["abc"[state], values[0], time, values[1]])
    return path


def table_of(text, name):
    block = text.split(f"\n{name}: rows by state and regime\n")[1].split("\n\n")[0]
    return np.array([line.split("regime")[0].split()[1:] for line in block.splitlines()[1:]], int)


def test_beside_truth(with_truth, states):
    options = ["--state", "mode", "--value", "rpm", "--value", "amps", "--warm-up", "300"]
    text = run("beside_truth.py", with_truth.name, *options, "--lag", "5", cwd=with_truth.parent)
    beside_truth = imported("beside_truth")
    frame = np.genfromtxt(with_truth, delimiter=",", skip_header=1, usecols=(1, 3))
    model = OnlineHMM(3, warm_up=300, lag=5, features=["rpm", "amps"], seed=1)
    model.fit_start(frame[:300])
    at_once = list(model.decode_many(frame[:300]))
    later = at_once[:]
    for rpm, amps in frame[300:]:
        at_once.append(model.predict_one({"rpm": rpm, "amps": amps}))
        model.learn_one({"rpm": rpm, "amps": amps})
        if len(at_once) - len(later) > 5:
            later.append(model.look_back(5).label)
    later += [model.look_back(back).label for back in (4, 3, 2, 1, 0)]
    for name, labels in {"at once": np.array(at_once), "5 rows later": np.array(later)}.items():
        counts = np.array(
            [[np.sum((states == i) & (labels == k)) for k in range(3)] for i in range(3)]
        )
        np.testing.assert_array_equal(table_of(text, name), counts)
        match = linear_sum_assignment(-counts)[1]
        (line,) = re.findall(rf"^{name}  .*\d$", text, re.MULTILINE)
        accuracy, rand, mutual, segments = map(float, line.removeprefix(name).split())
        assert accuracy == pytest.approx(np.mean(match[states] == labels), abs=5e-4)
        assert accuracy > 0.95
        assert rand == pytest.approx(adjusted_rand_score(states, labels), abs=5e-4)
        assert mutual == pytest.approx(adjusted_mutual_info_score(states, labels), abs=5e-4)
        assert segments == 1 + np.sum(np.diff(labels) != 0)
        delays = beside_truth.beside(states, labels).delays
        starts = np.flatnonzero(np.diff(states)) + 1
        for start, (row, late) in zip(starts, delays, strict=True):
            assert row == start
            wait = 0
            while labels[start + wait] != match[states[start]]:
                wait += 1
            assert wait == late
            assert re.search(rf"^{row + 1} .* {late} late", text, re.MULTILINE)


def test_beside_truth_with_times_and_states_that_are_one(with_truth, run_here):
    options = ["--state", "mode", "--value", "rpm", "--value", "amps", "--warm-up", "300"]
    options += ["--time", "when", "--same", "a,c", "--regimes", "3", "--plot", "beside.png"]
    text = run_here("beside_truth.py", with_truth.name, *options)
    assert " 2 states, " in text
    assert " 3 regimes" in text
    assert table_of(text, "at once").shape == (2, 3)
    assert " seconds\n" in text
    assert (with_truth.parent / "beside.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_state_that_is_left_out_is_never_found():
    beside_truth = imported("beside_truth")
    result = beside_truth.beside(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1]))
    assert result.delays == [(2, 0), (4, None)]
    assert result.accuracy == pytest.approx(4 / 6)
    assert sorted(result.matched) == [-1, 0, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--state", "stage"], "machine.csv has no column 'stage', only mode, rpm, when, amps"),
        (["--state", "mode", "--same", "a,d"], "--same a,d: 'd' is no state; there are a, b, c"),
        (["--state", "mode", "--regimes", "17"], "n_components is 17; OnlineHMM takes at most 16"),
    ],
)
def test_beside_truth_says_what_is_wrong(options, said, with_truth, run_here, capsys):
    with pytest.raises(SystemExit) as ended:
        run_here("beside_truth.py", with_truth, *options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
