"""What is put beside each other in segmentation.py: settings, features and methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from river import cluster, drift
from sklearn.mixture import GaussianMixture

from benchmarks.segmentation_measures import Labels, delayed, segments
from online_gmm import OnlineHMM, RegimeChange, RegimeEvent, RollingFeatures, Segmenter

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """The window of the other methods, and the goals of a collection: measures and least values.

    ``window`` is in points, or, if ``periods``, the least whole number of periods that long; with
    it come the features of OnlineHMM and of the batch mixture. `Segmenter` is told none of this.
    """

    window: int
    statistics: tuple[str, ...]
    lags: tuple[int, ...]
    online: dict[str, float]
    second: dict[str, float]
    periods: bool = False

    def describe(self) -> str:
        """In a line."""
        width = f"W the least multiple of the period >= {self.window}" if self.periods else ""
        lags = f", lags {', '.join(map(str, self.lags))}" if self.lags else ""
        return f"{width or f'W = {self.window}'}; {', '.join(self.statistics)}{lags}"


SHAPES = ("mean", "log_sd", "skewness", "log_roughness", "rises")
SETTINGS = {
    "mocap": Setting(
        150, ("mean", "log_sd", "log_difference"), (1, 8), {"ari": 0.82}, {"ari": 0.85}
    ),
    "synthetic": Setting(128, ("mean", "log_sd", "correlation"), (), {"ari": 0.97}, {"ari": 0.98}),
    "tssb": Setting(
        *(110, SHAPES, (1, 2, 4, 8, 16), {"covering": 0.82, "ari": 0.68}),
        second={"covering": 0.86, "ari": 0.76},
        periods=True,
    ),
    "utsa": Setting(
        *(110, SHAPES, (1, 2, 4, 8, 16), {"covering": 0.80, "ami": 0.70}),
        second={"covering": 0.84, "ami": 0.76},
        periods=True,
    ),
    "skab": Setting(
        *(96, ("mean", "log_sd", "log_difference"), (1, 8), {"covering": 0.78, "ari": 0.50}),
        second={"covering": 0.84, "ari": 0.60},
    ),
}
MOST_COMPONENTS = 8
PERIOD_POINTS, LEAST_PERIOD, MOST_PERIOD, HIGH = 300, 4, 150, 0.8


def period(x: Matrix) -> int:
    """The period of the first points: the first high peak of their autocorrelation."""
    x = x[:PERIOD_POINTS] - x[:PERIOD_POINTS].mean()
    n = len(x)
    r = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * n)) ** 2, 2 * n)[:n] / (n - np.arange(n))
    r = r[: min(MOST_PERIOD, n // 2)]
    negative = np.flatnonzero(r < 0.0)
    begin = max(LEAST_PERIOD, negative[0]) if len(negative) else LEAST_PERIOD
    r = r[begin:]
    if len(r) < 3:
        return LEAST_PERIOD
    peaks = (r[1:-1] >= r[:-2]) & (r[1:-1] >= r[2:]) & (r[1:-1] >= HIGH * r.max())
    return int(begin + (1 + np.argmax(peaks) if peaks.any() else np.argmax(r)))


@dataclass(frozen=True, eq=False)
class Series:
    """A labelled series, its place in the collection, and what is made of it before labelling."""

    place: int
    name: str
    values: Matrix = field(repr=False)
    states: Labels = field(repr=False)
    setting: Setting

    def __len__(self) -> int:
        return len(self.states)

    @cached_property
    def window(self) -> int:
        """W."""
        width = self.setting.window
        if self.setting.periods:
            one = period(self.values[:, 0])
            width = one * -(-width // one)
        return min(width, len(self) // 2)

    def scaled(self) -> Matrix:
        """The values over the standard deviations of the first 2 W points."""
        sd = self.values[: 2 * self.window].std(axis=0)
        return self.values / np.where(sd > 0.0, sd, 1.0)

    def trailing(self) -> RollingFeatures:
        """The transformer of a point into its features."""
        settings: dict[str, Any] = {"lag": self.setting.lags} if self.setting.lags else {}
        return RollingFeatures(self.window, self.setting.statistics, floor=1e-3, **settings)

    def features(self) -> Matrix:
        """The features of all points, from the values."""
        trailing, X = self.trailing(), self.scaled()
        trailing.learn_many(X)
        result: Matrix = trailing.transform_many(X)
        return result


def read(folder: Path, setting: Setting) -> list[Series]:
    """The series of a collection, in the order of its index."""
    result = []
    for place, name in enumerate(pd.read_csv(folder / "INDEX.csv")["name"]):
        frame = pd.read_csv(folder / f"{name}.csv.gz")
        states = pd.factorize(frame.pop("state"))[0].astype(np.int64)
        values = np.ascontiguousarray(frame.to_numpy(dtype=float))
        result.append(Series(place, name, values, states, setting))
    return result


class Found(NamedTuple):
    """Labels for the points of a series, and how long it took.

    ``known`` is what was said as each point came, and tells the delay; None if nothing was until
    the series had ended.
    """

    labels: Labels
    known: Labels | None
    seconds: float


Answers = dict[str, Found]
CAUSAL, LAGGED, PLACED, SECOND = "causal", "lag W/2", "placed", "second pass"


def dicts(X: Matrix) -> list[dict[int, float]]:
    """Rows as points."""
    return [dict(enumerate(row)) for row in X.tolist()]


def segmenter(series: Series) -> Answers:
    """This package's `Segmenter()`, which is told nothing, on the raw values as one array.

    Causal labels are what was known as each point came. Placed ones have every change where it was
    told to have begun; they are decided as the stream goes, and not revised. Those of the second
    pass are decided with the whole series at hand.
    """
    model = Segmenter(features=list(range(series.values.shape[1])))
    before = time.process_time()
    causal = model.label_then_learn_many(series.values).labels
    seconds = time.process_time() - before
    answers = placed(causal, model.new_events, seconds)
    before = time.process_time()
    labels = model.second_pass(series.values).labels
    answers[SECOND] = Found(labels, None, time.process_time() - before)
    return answers


def segmenter_points(series: Series) -> Answers:
    """The same a dict at a time: predict, then learn."""
    model, told = Segmenter(), []
    points = dicts(series.values)
    labels = []
    before = time.process_time()
    for x in points:
        labels.append(model.predict_one(x))
        model.learn_one(x)
        told += model.new_events
    seconds = time.process_time() - before
    return placed(np.array(labels, dtype=np.int64), told, seconds)


def placed(causal: Labels, told: list[Any], seconds: float) -> Answers:
    """Labels as they were known, and with changes where they were told to have begun."""
    labels = np.zeros(len(causal), dtype=np.int64)
    begin = 0
    for event in told:
        if isinstance(event, RegimeChange):
            # what the segment that is over was is told with the change that ends it
            labels[begin : event.at] = event.before
            labels[event.at :] = event.after
            begin = event.at
        elif isinstance(event, RegimeEvent) and event.kind == "merged":
            labels[labels == event.label] = event.into
    known = np.maximum(causal, 0)
    return {PLACED: Found(labels, known, seconds), CAUSAL: Found(known, known, seconds)}


def online_hmm(series: Series) -> Answers:
    """This package's learner of up to 8 regimes, their number chosen once, on the same features.

    A point each eighth of a window, eight a window; warm-up min(64, third) of these;
    n_components="auto", covariance_type="diag", tempering 1/8.
    """
    hop = max(1, series.window // 8)
    before = time.process_time()
    rows = np.arange(series.window - 1, len(series), hop)
    points = dicts(series.features()[rows])
    model = OnlineHMM(
        "auto",
        max_components=MOST_COMPONENTS,
        covariance_type="diag",
        tempering=hop / series.window,
        warm_up=max(min(len(rows) // 3, 64), 2),
        lag=4,
        seed=1,
    )
    now = np.zeros(len(rows), dtype=np.int64)
    later = np.zeros(len(rows), dtype=np.int64)
    for i, x in enumerate(points):
        now[i] = model.predict_one(x)
        model.learn_one(x)
        smoothed = model.smoothed
        if smoothed is not None:
            later[i] = smoothed.label
    labels, smooth = (held(z, rows, len(series)) for z in (now, later))
    seconds = time.process_time() - before
    return {
        CAUSAL: Found(labels, labels, seconds),
        LAGGED: Found(delayed(smooth, 4 * hop), smooth, seconds),
    }


def held(labels: Labels, rows: NDArray[np.int64], n: int) -> Labels:
    """The labels of some rows, each until the next; 0 before the first."""
    result = np.zeros(n, dtype=np.int64)
    last = np.searchsorted(rows, np.arange(n), side="right") - 1
    result[last >= 0] = labels[last[last >= 0]]
    return result


def no_change(series: Series) -> Answers:
    """One segment."""
    labels = np.zeros(len(series), dtype=np.int64)
    return {"": Found(labels, labels, 0.0)}


def adwin(series: Series) -> Answers:
    """river's, defaults, on each channel scaled: a drift of any begins a segment."""
    return of_drifts(series, drift.ADWIN)


def page_hinkley(series: Series) -> Answers:
    """river's, defaults, on each channel scaled: a drift of any begins a segment."""
    return of_drifts(series, drift.PageHinkley)


def of_drifts(series: Series, detector: Callable[[], Any]) -> Answers:
    """Segments between the drifts that a detector of river reports in any channel."""
    rows = series.scaled().tolist()
    detectors = [detector() for _ in rows[0]]
    cuts = []
    before = time.process_time()
    for i, row in enumerate(rows):
        changed = False
        for one, value in zip(detectors, row, strict=True):
            one.update(value)
            changed |= one.drift_detected
        if changed and i > 0:
            cuts.append(i)
    seconds = time.process_time() - before
    labels = segments(np.array(cuts, dtype=np.int64), len(series))
    return {"": Found(labels, labels, seconds)}


def pelt(series: Series) -> Answers:
    """ruptures' PELT with a linear kernel, on the same features over their standard deviations.

    It has the whole series at hand. A point each eighth of a window, eight a window; segments of at
    least a window. The penalty is that of BIC for D features, times 8, since the eight points of a
    window say much the same.
    """
    import ruptures

    each = 8
    before = time.process_time()
    rows = np.arange(series.window - 1, len(series), max(1, series.window // each))
    X = np.nan_to_num(series.features()[rows])
    sd = X.std(axis=0)
    X = (X - X.mean(axis=0)) / np.where(sd > 0.0, sd, 1.0)
    cuts: list[int] = []
    if len(X) >= 2 * each:
        penalty = each * X.shape[1] * np.log(len(X))
        found = ruptures.KernelCPD(kernel="linear", min_size=each).fit(X).predict(pen=penalty)
        # a window that shows a change has it in its middle
        cuts = [int(rows[look]) - series.window // 2 for look in found[:-1]]
    seconds = time.process_time() - before
    return {"": Found(segments(np.array(cuts, dtype=np.int64), len(series)), None, seconds)}


def kmeans(series: Series) -> Answers:
    """river's, defaults (5 clusters), on the scaled values themselves: predict, then learn."""
    points = dicts(series.scaled())
    model = cluster.KMeans(seed=1)
    labels = np.zeros(len(points), dtype=np.int64)
    before = time.process_time()
    for i, x in enumerate(points):
        if i > 0:
            labels[i] = model.predict_one(x)
        model.learn_one(x)
    return {"": Found(labels, labels, time.process_time() - before)}


CLASP_WINDOW, CLASP_WARM_UP = 10_000, 1000


def clasp(series: Series) -> Answers:
    """claspy's streaming ClaSP, on series of one channel: window 10,000, warm-up min(1000, n/3).

    Labels are the numbers of the segments between the change points that it places, which lie
    behind the point at which it reports them; the warm-up is segmented in retrospect.
    """
    from claspy.streaming.segmentation import StreamingClaSPSegmentation

    n = len(series)
    model = StreamingClaSPSegmentation(
        n_timepoints=CLASP_WINDOW, n_warmup=min(CLASP_WARM_UP, n // 3), log_cps=True
    )
    reported = []
    before = time.process_time()
    with np.errstate(all="ignore"):
        for i, value in enumerate(series.values[:, 0]):
            model.update(value)
            if len(model.change_points) > len(reported):
                reported += [i] * (len(model.change_points) - len(reported))
    seconds = time.process_time() - before
    placed = sorted({int(cut) for cut in model.change_points if 0 < cut < n})
    labels = segments(np.array(placed, dtype=np.int64), n)
    known = segments(np.array(sorted(set(reported)), dtype=np.int64), n)
    return {"": Found(labels, known, seconds)}


def batch_mixture(series: Series) -> Answers:
    """scikit-learn's, full covariances, 3 starts, on the same features, told the number of states.

    It labels a series that it has seen to the end; also shifted by half a window.
    """
    before = time.process_time()
    rows = series.features()[series.window - 1 :]
    rows = np.where(np.isnan(rows), 0.0, rows)
    model = GaussianMixture(
        int(series.states.max()) + 1, covariance_type="full", n_init=3, random_state=1
    )
    found = model.fit_predict(rows).astype(np.int64)
    labels = np.append(np.full(series.window - 1, found[0]), found)
    seconds = time.process_time() - before
    return {
        "as is": Found(labels, None, seconds),
        "shifted W/2": Found(delayed(labels, series.window // 2), None, seconds),
    }


OURS, POINT_BY_POINT = "Segmenter()", "Segmenter(), point by point"
CLASP, PELT = "claspy ClaSP", "ruptures PELT"
METHODS: dict[str, Callable[[Series], Answers]] = {
    OURS: segmenter,
    POINT_BY_POINT: segmenter_points,
    "OnlineHMM": online_hmm,
    "no change": no_change,
    "river ADWIN": adwin,
    "river PageHinkley": page_hinkley,
    "river KMeans": kmeans,
    CLASP: clasp,
    PELT: pelt,
    "batch mixture, oracle K": batch_mixture,
}
