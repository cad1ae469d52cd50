"""What a notebook shows: tables of learners and segments, frames at once, and pictures."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot as plt

from online_gmm import OnlineGMM, OnlineHMM, RegimeChange, Segment, Segmenter, plot
from online_gmm.data import html

STEPS = np.repeat([0.0, 9.0, 0.0, 9.0], 300)


@pytest.fixture(autouse=True)
def kernel() -> None:
    """What is shown does not depend on the kernel: once is enough."""


@pytest.fixture(autouse=True)
def _close_figures():
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    times = pd.date_range("2024-01-01", periods=len(STEPS), freq="min", name="when")
    flow = rng.normal(STEPS, 1.0)
    return pd.DataFrame({"when": times, "flow": flow, "p<2>": rng.normal(5.0, 0.1, len(STEPS))})


def cells(shown: str) -> list[str]:
    """The text of all cells, with a parser of its own."""
    from html.parser import HTMLParser

    class Cells(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.said: list[str] = []

        def handle_starttag(self, tag, attrs):
            self.open.append(tag)
            if tag in ("td", "th"):
                self.said.append("")

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            if self.open and {"td", "th"} & set(self.open):
                self.said[-1] += data

    parser = Cells()
    parser.feed(shown)
    parser.close()
    assert parser.open == []
    return [cell.strip() for cell in parser.said]


# -- a frame at once ----------------------------------------------------------------------------


def test_labels_in_hindsight_are_those_of_the_segments(frame) -> None:
    segmenter = Segmenter(time="when")
    labels = segmenter.label_many(frame)
    assert labels.index.equals(frame.index)
    told = list(Segmenter(time="when").stream(frame.to_dict("records")))
    segments = [event for event in told if isinstance(event, Segment)]
    assert segmenter.segments_["label"].tolist() == [its.label for its in segments]
    assert segmenter.segments_["n"].sum() == len(frame)
    for start, its in zip(segmenter.segments_["start"], segments, strict=True):
        assert pd.Timestamp(start) == its.start
    for its in segments:
        inside = (frame["when"] >= its.start) & (frame["when"] <= its.end)
        assert set(labels[inside]) == {its.label}
    assert segmenter.segments_["flow_mean"].tolist() == pytest.approx(
        [i.mean["flow"] for i in segments]
    )
    changes = [event for event in told if isinstance(event, RegimeChange)]
    assert segmenter.segments_["why"][0] == ""
    assert all(
        why.startswith(str(change.why[0]))
        for why, change in zip(segmenter.segments_["why"][1:], changes, strict=True)
    )


def test_hindsight_is_better_than_what_was_known(frame) -> None:
    known = Segmenter(time="when").label_then_learn_many(frame).labels
    labels = Segmenter(time="when").label_many(frame)
    truth = (STEPS > 0).astype(int)
    assert (labels == truth).mean() > 0.99 > (known == truth).mean()


def test_a_second_pass_over_the_frame_is_better_still(frame) -> None:
    segmenter = Segmenter(time="when")
    labels = segmenter.label_many(frame)
    found = segmenter.second_pass(frame)
    truth = (STEPS > 0).astype(int)
    assert (found.labels == truth).mean() >= (labels == truth).mean()
    segments = found.segments_
    assert list(segments.columns) == list(segmenter.segments_.columns)
    np.testing.assert_array_equal(np.repeat(segments["label"], segments["n"]), found.labels)
    assert segments["start"].tolist() == [its.start for its in found.segments]
    assert [bool(why) for why in segments["why"]] == [False, *[True] * len(found.changes)]
    assert segments["flow_mean"].tolist() == [its.mean["flow"] for its in found.segments]


def test_frames_of_other_kinds_and_arrays(frame) -> None:
    whole = Segmenter().label_many(frame[["flow"]]).tolist()
    assert Segmenter().label_many(pl.from_pandas(frame[["flow"]])).to_list() == whole
    assert Segmenter().label_many(frame[["flow"]].to_numpy()).tolist() == whole


def test_rows_of_a_model_without_a_segment_are_unknown(frame) -> None:
    segmenter = Segmenter(OnlineHMM(2, warm_up=400, seed=1), confirm=3)
    labels = segmenter.label_many(frame[["flow"]])
    started = int((labels >= 0).argmax())
    assert 400 <= started < 500
    assert set(labels[:started]) == {-1}
    for its in segmenter.segments_.itertuples():
        assert set(labels[its.start : its.end]) == {its.label}
    assert segmenter.segments_["n"].sum() == len(frame) - started


def test_late_rows_belong_to_no_segment(frame) -> None:
    late = pd.concat([frame[:500], frame[100:110], frame[500:]], ignore_index=True)
    segmenter = Segmenter(time="when", late="skip")
    labels = segmenter.label_many(late)
    assert set(labels[500:510]) == {-1}
    whole = Segmenter(time="when").label_many(frame)
    np.testing.assert_array_equal(labels.drop(range(500, 510)), whole)


def test_a_second_frame_is_a_stretch_of_its_own(frame) -> None:
    segmenter = Segmenter()
    segmenter.label_many(frame[["flow"]])
    labels = segmenter.label_many(frame[["flow"]])
    rows = np.repeat(segmenter.segments_["label"], segmenter.segments_["n"])
    np.testing.assert_array_equal(labels, rows)
    assert segmenter.segments_["start"][0] == len(frame)


def test_an_empty_frame_has_no_segments() -> None:
    segmenter = Segmenter()
    assert len(segmenter.label_many(pd.DataFrame({"flow": []}))) == 0
    assert list(segmenter.segments_.columns[:3]) == ["start", "end", "label"]


# -- tables -------------------------------------------------------------------------------------


def test_a_learner_shows_its_parameters(frame) -> None:
    model = OnlineGMM(2, warm_up=100, seed=1)
    assert "OnlineGMM(n_components=2, warm_up=100, seed=1)" in model._repr_html_()
    assert "not started" in model._repr_html_()
    model.learn_many(frame[["flow"]])
    model.rename(0, "shut & dry")
    shown = cells(model._repr_html_())
    assert shown[:4] == ["label", "name", "weight", "flow, mean ± sd"]
    assert shown[5] == "shut & dry"
    assert shown[6] == f"{model.mixture.weights[0]:.1%}"
    sd = np.sqrt(model.mixture.covariances[0, 0, 0])
    assert shown[7] == f"{model.mixture.means[0, 0]:.4g} ± {sd:.2g}"
    assert cells(model.mixture._repr_html_())[3:6] == ["0", shown[6], shown[7]]


def test_a_markov_model_shows_how_long_regimes_last(frame) -> None:
    model = OnlineHMM(2, warm_up=400, seed=1)
    model.learn_many(frame[["flow"]])
    shown = cells(model._repr_html_())
    assert shown[:3] == ["label", "weight", "mean dwell"]
    assert shown[6] == f"{model.dwell[0]:,.4g} points"


def test_a_segmenter_shows_regimes_and_changes(frame) -> None:
    segmenter = Segmenter(time="when")
    assert "no segment is going on" in segmenter._repr_html_()
    segmenter.learn_many(frame)
    text = segmenter._repr_html_()
    assert "Segmenter(time=&#x27;when&#x27;)" in text
    assert "now: regime 1, " in text
    shown = cells(text)
    assert shown[:5] == ["regime", "share of rows", "rows", "visits", "typical stay, rows"]
    assert "p<2>, mean ± sd" in shown
    assert "p<2>" not in text
    card = segmenter.regimes[0]
    assert shown[7:10] == ["0", f"{card.share:.1%}", f"{card.n:,}"]
    last = [event for event in segmenter.events if isinstance(event, RegimeChange)][-1]
    assert str(last.at) in shown
    assert any(cell.startswith(str(last.why[0])) for cell in shown)
    assert f"{last.why[0].share:.1%}" in cells(last._repr_html_())
    assert cells(card._repr_html_())[7] == "0"
    assert f"{segmenter.current.probability:.1%}" in cells(segmenter.current._repr_html_())


def test_a_segmenter_over_a_model_shows_the_model() -> None:
    text = Segmenter(OnlineGMM(2, seed=1), confirm=3)._repr_html_()
    assert "Segmenter(model=OnlineGMM(n_components=2, seed=1), confirm=3)" in text
    assert "0 points, not started" in text


def test_a_table_says_what_it_leaves_out() -> None:
    shown = html.table(["n"], [[i] for i in range(80)], "numbers")
    assert "numbers; the first 50 of 80 rows" in shown
    assert len(cells(shown)) == 51


# -- pictures -----------------------------------------------------------------------------------


def test_a_series_is_drawn_in_its_bands(frame) -> None:
    segmenter = Segmenter(time="when")
    segmenter.label_many(frame)
    panels = plot.series(frame, segmenter.segments_, time="when")
    assert [panel.get_ylabel() for panel in panels] == ["flow", "p<2>"]
    for panel, name in zip(panels, ["flow", "p<2>"], strict=True):
        np.testing.assert_array_equal(panel.lines[-1].get_ydata(), frame[name])
        assert len(panel.patches) == 4
        colours = [patch.get_facecolor()[:3] for patch in panel.patches]
        assert colours[0] == colours[2] != colours[1] == colours[3]
    panels[0].figure.savefig(io.BytesIO())


def test_the_bands_of_a_stream_are_drawn_too(frame) -> None:
    told = list(Segmenter().stream(frame[["flow"]].to_dict("records")))
    (panel,) = plot.series(frame[["flow"]], told)
    assert [patch.get_x() for patch in panel.patches] == [
        event.start for event in told if isinstance(event, Segment)
    ]
    with pytest.raises(ValueError, match="there are 2 axes for 1 channel"):
        plot.series(frame[["flow"]], told, axes=plt.subplots(2)[1])


def test_a_stream_of_segments_is_drawn_in_each_panel(frame) -> None:
    """It can be gone through once only."""
    rows = frame[["flow", "p<2>"]]
    panels = plot.series(rows, Segmenter().stream(rows.to_dict("records")))
    assert len(panels[0].patches) == len(panels[1].patches) > 1


def test_times_in_an_index_are_those_of_the_rows(frame) -> None:
    by_index = frame.set_index("when")
    segmenter = Segmenter(time="when")
    segmenter.label_many(by_index)
    panels = plot.series(by_index, segmenter.segments_, time="when")
    drawn = np.asarray(panels[0].lines[-1].get_xdata())
    np.testing.assert_array_equal(drawn, by_index.index.to_numpy())


def test_segments_at_no_place_of_the_rows_are_refused(frame) -> None:
    """Rows without times go from 0 on: bands at dates would be decades away from them."""
    by_time, by_number, again = Segmenter(time="when"), Segmenter(), Segmenter()
    rows = frame[["flow", "p<2>"]]
    by_time.label_many(frame)
    by_number.label_many(rows)
    again.label_many(rows)
    again.label_many(rows)
    told = "the segments begin at .*, and the rows go from .*by t=... or time=..."
    for X, segmenter, time in (
        (rows, by_time, None),
        (frame, by_number, "when"),
        (rows, again, None),
    ):
        with pytest.raises(ValueError, match=told):
            plot.series(X, segmenter.segments_, time=time)


def test_what_has_no_cards_is_refused() -> None:
    with pytest.raises(TypeError, match=r"without a model, or cards .* OnlineGMM has none"):
        plot.regimes(OnlineGMM(2))


def test_densities_are_those_of_the_mixture(frame) -> None:
    model = OnlineGMM(2, seed=1, warm_up=400)
    with pytest.raises(ValueError, match="start"):
        plot.densities(model)
    model.learn_many(frame[["flow", "p<2>"]])
    axes = plot.densities(model, frame[["flow", "p<2>"]], channel="flow")
    *_, total = (line for line in axes.lines if line.get_label() == "sum")
    grid, heights = total.get_xdata(), total.get_ydata()
    # the other channel is missing, so it is marginalised out
    rows = pd.DataFrame({"flow": grid})
    np.testing.assert_allclose(heights, np.exp(model.mixture.score_samples(rows)), atol=1e-12)
    rug = [line for line in axes.lines if line.get_marker() == "|"]
    assert [line.get_color() for line in rug] == [html.colour_of(0), html.colour_of(1)]
    with pytest.raises(ValueError, match="no channel 'x'"):
        plot.densities(model, channel="x")


def test_regimes_are_drawn_beside_each_other(frame) -> None:
    segmenter = Segmenter(time="when")
    with pytest.raises(ValueError, match="no regime is known yet"):
        plot.regimes(segmenter)
    segmenter.label_many(frame)
    segmenter.rename(1, "open")
    panels = plot.regimes(segmenter)
    assert [panel.get_title() for panel in panels] == ["share of rows", "flow", "p<2>"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["regime 0", "open"]
    shares = [patch.get_width() for patch in panels[0].patches]
    assert shares == [card.share for card in segmenter.regimes.values()]
