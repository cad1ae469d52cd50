"""The page of a labelled series: the file, the server, and both in a browser."""

import http.client
import json
import logging
import math
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser

import numpy as np
import pytest
from batches import batch_of, label
from bokeh.models import Div
from screenshots import CHROMIUM, COLUMNS, DRIVER, Machines, browser, complaints, look, until

from online_gmm import Assignment, OnlineGMM
from online_gmm.em.batch import BatchFit
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.segments import RegimeEvent
from replay.checks.check import Comparison
from replay.engine.rows import InputError, OutputError, Row
from replay.engine.series import Series
from replay.sources.times import Clock
from replay.views.figure import Figures
from replay.views.history import History
from replay.views.local_time import offsets_in, shifts_of
from replay.views.page.access import Access, parse_address
from replay.views.page.content import content_of, texts_of
from replay.views.page.figures import Page
from replay.views.page.report import report_html, write_report
from replay.views.page.server import PageServer
from replay.views.page.sink import Watcher
from replay.views.page.style import AHEAD, LOCAL_LABEL, LOCAL_TICKS
from replay.views.page.tables import changes_table, keys_table
from replay.views.parameters import Parameters, merged_into
from replay.views.roster import placed

HOSTILE = "</script><b>bold</b>&\"' $$x^2$$"


class _Loads(HTMLParser):
    """What a page would load, and the tags that it has."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action")]


def replayed(*keys, rows=900):
    machines = Machines(*(keys or ("",)))
    machines.run(rows)
    machines.end()
    return machines


# -- the file -----------------------------------------------------------------------------------


def test_models_can_be_described_when_they_are_imported():
    """Signatures are left out meanwhile."""
    assert {"text", "margin"} <= {parameter.name for parameter, *_ in Div.parameters()}


def test_a_report_loads_nothing(tmp_path):
    machines = replayed()
    path = tmp_path / "report.html"
    write_report(path, "Pump", machines.history, machines.series)
    html = path.read_text()
    assert _Loads(html).addresses == ["data:,"]
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(", re.sub(r"(?s)<script.*?</script>", "", html))
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_read_from_the_input_is_text(tmp_path):
    history = History([HOSTILE])
    watcher = Watcher(history)
    series = {key: Series(OnlineGMM(2, features=[HOSTILE], warm_up=20)) for key in (HOSTILE, "b")}
    rng = np.random.default_rng(1)
    for i in range(200):
        key = (HOSTILE, "b")[i % 2]
        row = Row(i, HOSTILE, (), {HOSTILE: rng.normal(5.0 * (i // 20 % 2))}, None, key)
        for one in label(series[key], [row]):
            watcher.write(batch_of(one))
    html = report_html(HOSTILE, history, series)
    tags = _Loads(html).tags
    assert "b" not in tags
    assert tags.count("script") == html.count("</script>")
    content = content_of(history.snapshot(HOSTILE), *history.segments(HOSTILE), None)
    for text in (*content.texts.values(), keys_table(history.heads(), Clock())):
        assert "b" not in _Loads(text).tags
    assert "&lt;b&gt;" in content.texts["head"]
    assert "&lt;b&gt;" in content.texts["segments"]


def test_a_long_series_is_a_few_megabytes():
    n = 250_000
    y = np.random.default_rng(1).normal(size=n).tolist()
    said = [Assignment(label, 0.9, -1.4, False) for label in range(3)]
    history = History(["value"])
    began = time.thread_time()
    for i, value in enumerate(y):
        row = Row(i, "", (), {"value": value})
        history.add(row, said[i // 5000 % 3])
    html = report_html("long", history, {})
    assert time.thread_time() - began < 4.0
    assert len(html) < 5_000_000
    trace = history.snapshot("").whole
    assert trace.rows == 128
    assert (np.nanmin(trace.y[0]), np.nanmax(trace.y[0])) == (min(y), max(y))


def test_many_keys_share_what_there_is_room_for():
    machines = replayed(*(f"pump {i}" for i in range(50)), rows=20_000)
    html = report_html("Pumps", machines.history, machines.series)
    assert len(html) < 5_000_000
    for key in machines.series:
        assert key in html


def test_a_report_of_nothing_is_a_page():
    assert "no row has come yet" in report_html("Empty", History(["value"]), {})


def test_the_gap_to_batch_em_is_drawn_if_it_is_known():
    machines = replayed()
    fit = BatchFit.__new__(BatchFit)
    comparisons = [Comparison(n, 1, gap, 0.1, 0.9, fit) for n, gap in ((100, 0.1), (900, -0.01))]
    html = report_html("Pump", machines.history, machines.series, comparisons)
    assert "gap to batch EM" in html
    assert "gap to batch EM" not in report_html("Pump", machines.history, machines.series)


def test_columns_that_are_not_drawn_are_told():
    drawn = "The first 6 of 50 columns are drawn, in the order of --value."
    page = report_html("many", History([f"c{i}" for i in range(50)]), {})
    assert page.count(drawn) == 2
    assert "columns are drawn" not in report_html("few", History([*"abcdef"]), {})


def test_a_long_name_has_its_ends_beside_its_axis():
    """All of it is in the tables; axes would be drawn over each other."""
    name = "plant 3 line 7 " + "x" * 100 + " temperature of the oil"
    page = Page([name, "level"], False)
    labels = {plot.name: plot for plot in page.figures}
    high = labels["whole 0"].yaxis[0].axis_label.text
    wide = labels["density 0"].xaxis[0].axis_label.text
    for text, most in ((high, 27), (wide, 44)):
        before, after = text.split("...")
        assert len(text) == most
        assert name.startswith(before)
        assert name.endswith(after)
    assert labels["whole 1"].yaxis[0].axis_label.text == "level"


def test_names_of_peaks_do_not_lie_upon_each_other():
    """Those of one place are one text; otherwise 1 and 2 would read as 12."""
    model = OnlineGMM(3, features=["level"], warm_up=90, seed=1)
    levels = np.repeat([0.0, 0.0, 9.0], 30) + np.tile(np.linspace(-1.0, 1.0, 30), 3)
    model.fit_start(levels[:, None])
    parameters = Parameters.of(model)._replace(
        labels=(0, 1, 2),
        means=np.array([[0.0], [9.0], [0.05]]),
        sds=np.ones((3, 1)),
        weights=np.full(3, 1 / 3),
    )
    figures = Figures()
    figures.add_density(0, levels, np.zeros(90, dtype=np.int64), parameters, 90)
    assert sorted(figures.data["peaks 0"]["text"]) == ["0, 2", "1"]
    assert len(figures.data["peaks 0"]["x"]) == len(figures.data["peaks 0"]["y"]) == 2


def test_densities_are_those_of_the_model():
    machines = replayed()
    (series,) = machines.series.values()
    parameters = Parameters.of(series.model)
    content = content_of(machines.history.snapshot(""), [], 0, parameters)
    x, total = content.data["mixture 0"]["x"], content.data["mixture 0"]["y"]
    mixture = series.model.mixture
    alone = sum(
        weight
        * np.exp(-0.5 * (x - mean[0]) ** 2 / covariance[0, 0])
        / math.sqrt(2.0 * math.pi * covariance[0, 0])
        for weight, mean, covariance in zip(
            mixture.weights, mixture.means, mixture.covariances, strict=True
        )
    )
    assert np.allclose(total, alone, rtol=1e-12)
    assert 0.97 < np.trapezoid(total, x) <= 1.0


def test_scores_are_means_of_log_densities():
    machines = replayed(rows=3000)
    scores = machines.history.snapshot("").scores
    assert scores.rows[-1] == scores.ends[-1] == 3000
    sizes = np.diff(scores.ends, prepend=0)
    assert scores.so_far[-1] == pytest.approx((scores.means * sizes).sum() / 3000)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"--report .*nowhere"):
        write_report(tmp_path / "nowhere" / "r.html", "", History(["value"]), {})


# -- the sink -----------------------------------------------------------------------------------


def test_a_watcher_goes_on_from_its_position():
    machines = replayed("a", "b")
    position = machines.watcher.position()
    again = Watcher(History(machines.history.values))
    again.go_to(position)
    assert again.position() == position
    assert again.history.heads() == machines.history.heads()
    with pytest.raises(InputError, match="without --report"):
        again.go_to(None)
    with pytest.raises(InputError, match="other"):
        Watcher(History(["other"])).go_to(position)


def test_parameters_are_looked_up_by_the_thread_that_learns():
    machines = Machines("a")
    watcher = machines.watcher
    machines.run(50)
    assert watcher.parameters("a") is None
    machines.run(150)
    before = watcher.parameters("a")
    machines.run(100)
    assert not np.array_equal(watcher.parameters("a").means, before.means)


def test_a_regime_is_told_since_it_began_rather_than_since_it_was_known():
    machines = Machines("a", model=FoundRegimes(features=COLUMNS))
    machines.run(1000)
    parameters = Parameters.of_series(machines.series["a"])
    (head,) = machines.history.heads()
    began = placed(head, parameters)
    assert began.since < head.since
    assert (began.since, began.since_time) == parameters.changes[-1].at
    assert began.since == machines.series["a"].segmenter.current.start[0]
    texts = texts_of(head, COLUMNS, Clock(), *machines.history.segments("a"), parameters)
    assert f"since (row {began.since:,})" in texts["head"]
    # of another regime than that of the last row nothing is said
    other = replace(head, label=head.label + 1)
    assert placed(other, parameters) == other
    assert placed(head, None) == head


def test_a_regime_that_is_another_one_by_now_says_which():
    events = [
        RegimeEvent("born", 6, 40),
        RegimeEvent("merged", 6, 60, 4),
        RegimeEvent("merged", 4, 90, 1),
        RegimeEvent("merged", 7, 95, 2),
    ]
    assert merged_into(events) == {6: 1, 4: 1, 7: 2}
    machines = Machines("a", model=FoundRegimes(features=COLUMNS))
    machines.run(1000)
    parameters = Parameters.of_series(machines.series["a"])
    before = parameters.changes[-1].before
    table = changes_table(parameters._replace(merged={before: 1}), Clock(), {})
    assert "(now 1)" in table
    assert "(now" not in changes_table(parameters._replace(merged={}), Clock(), {})


def test_axes_show_the_time_of_the_zone_that_is_said():
    machines = Machines("a")
    machines.run(600)
    assert '"time, UTC"' in report_html("Pump", machines.history, machines.series)
    machines.history.clock = Clock(time_zone="Europe/Berlin")
    html = report_html("Pump", machines.history, machines.series)
    assert '"time, Europe/Berlin"' in html
    assert '"time, UTC"' not in html


def test_a_zone_is_ahead_of_utc_from_the_second_on_when_it_steps():
    step = datetime(2024, 10, 27, 1, tzinfo=UTC).timestamp()
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert (1e3 * step, 3600e3) in shifts_of(berlin)
    assert offsets_in(berlin, step - 9e4, step - 1) == ["+02:00"]
    assert offsets_in(berlin, step - 9e4, step) == ["+02:00", "+01:00"]
    assert offsets_in(berlin, step, step + 9e4) == ["+01:00"]
    fixed = timezone(timedelta(hours=-3, minutes=-30))
    assert shifts_of(fixed) == ((0.0, -3.5 * 3600e3),)
    assert offsets_in(fixed, -1e9, step) == ["-03:30"]


AXES = [
    # an hour that comes twice
    (
        *("Europe/Berlin", "2024-10-26 21:00", "2024-10-27 07:00"),
        [
            *("00:00 +02:00", "02:00 +02:00", "02:00 +01:00", "04:00 +01:00", "06:00 +01:00"),
            "08:00 +01:00",
        ],
    ),
    # within it
    (
        *("Europe/Berlin", "2024-10-27 00:20", "2024-10-27 01:40"),
        ["02:30 +02:00", "02:00 +01:00", "02:30 +01:00"],
    ),
    # one that is skipped
    (
        *("Europe/Berlin", "2024-03-30 22:00", "2024-03-31 07:00"),
        ["00:00 +01:00", "04:00 +02:00", "06:00 +02:00", "08:00 +02:00"],
    ),
    (
        *("Asia/Kolkata", "2024-01-01 01:00", "2024-01-01 11:00"),
        ["08:00", "10:00", "12:00", "14:00", "16:00"],
    ),
    # midnight there
    (
        *("America/New_York", "2024-03-08 00:00", "2024-03-13 00:00"),
        ["2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11", "2024-03-12"],
    ),
    (
        *("America/New_York", "2023-11-10 00:00", "2024-05-20 00:00"),
        ["2024-01", "2024-03", "2024-05"],
    ),
]


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium with its driver")
@pytest.mark.parametrize(("zone", "first", "last", "labels"), AXES)
def test_ticks_stand_at_round_local_times_and_say_where_hours_come_twice(
    driver, zone, first, last, labels
):
    script = """
    const [shifts, start, end, ticks_code, label_code] = arguments
    const ticks = new Function("cb_data", "shifts", ticks_code)({start, end}, shifts)
    const label = new Function("tick", "index", "ticks", "shifts", label_code)
    return ticks.map((tick, i) => label(tick, i, ticks, shifts).split("\\n")[0])
    """
    ends = [1e3 * datetime.fromisoformat(f"{end}+00:00").timestamp() for end in (first, last)]
    found = driver.execute_script(
        script,
        *(shifts_of(zoneinfo.ZoneInfo(zone)), *ends, AHEAD + LOCAL_TICKS, AHEAD + LOCAL_LABEL),
    )
    assert found == labels


def test_without_bokeh_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("replay.views.page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"online-gmm\[page\]"):
        import replay.views.page  # noqa: F401


# -- the server ---------------------------------------------------------------------------------


@pytest.fixture
def served():
    machines = Machines("pump <1>", "pump 2")
    machines.run(1200)
    with PageServer("127.0.0.1:0", HOSTILE, machines.history, machines.watcher.parameters) as page:
        yield machines, page


@pytest.fixture(scope="module")
def standing():
    """A page for all tests that only ask for it."""
    machines = Machines("pump <1>", "pump 2")
    machines.run(100)
    with PageServer("127.0.0.1:0", HOSTILE, machines.history, machines.watcher.parameters) as page:
        yield page


def fetched(page, path="", **options):
    request = urllib.request.Request(page.url + path, **options)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def refusal(page, path="", **options):
    with pytest.raises(urllib.error.HTTPError) as error:
        fetched(page, path, **options)
    with error.value as answer:
        return answer.code


def test_the_page_and_nothing_else(served):
    _, page = served
    html = fetched(page)
    addresses = _Loads(html).addresses
    assert all(address.startswith(("data:", "static/", "/static/")) for address in addresses)
    assert "b" not in _Loads(html).tags
    for path in ("nothing", "metadata", "autoload.js", "pump"):
        assert refusal(page, path) == 404
    for method in ("POST", "PUT", "DELETE"):
        for data in (b"", b"x" * 1000):
            assert refusal(page, method=method, data=data) in (400, 405, 413)
            assert refusal(page, "pump", method=method, data=data) in (400, 404, 413)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def status(page, path="", upgrade=False, **headers):
    """What a request with these headers is answered; no header whose value is None."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    connection.putrequest("GET", urllib.parse.urlsplit(page.url).path + path, skip_host=True)
    headers = {"Host": f"127.0.0.1:{page.port}", **headers, **(UPGRADE if upgrade else {})}
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    result = connection.getresponse().status
    connection.close()
    return result


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost@evil.example",
    "evil.example@localhost:{port}",
    "0.0.0.0:{port}",
    "192.168.0.7:{port}",
    "[::2]:{port}",
    "localhost, evil.example",
    "localhost:{port}:{port}",
    "",
]


@pytest.mark.parametrize("path", ["", "ws", "static/js/bokeh.min.js", "nothing"])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_request_that_names_another_host_is_refused(standing, host, path):
    """A foreign name that is made to resolve to this machine (DNS rebinding) reads nothing."""
    host = host.format(port=standing.port)
    # a web server may as well say that such a header is malformed
    assert status(standing, path, Host=host) in (400, 403)
    assert status(standing, path, path == "ws", Host=host, Origin=f"http://{host}") in (400, 403)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "localhost", "[::1]:9"]
)
def test_a_request_that_names_this_machine_is_answered(standing, host):
    host = host.format(port=standing.port)
    assert status(standing, Host=host) == 200
    assert status(standing, "ws", True, Host=host, Origin=f"http://{host}") == 101


@pytest.mark.parametrize(
    "origin",
    [
        "http://elsewhere:{port}",
        "http://evil.example",
        "null",
        "http://localhost:{port}",
        "",
        "file://",
    ],
)
def test_other_origins_cannot_read_it(standing, origin):
    origin = origin.format(port=standing.port)
    assert status(standing, "ws", True, Origin=origin) == 403
    assert status(standing, Origin=origin) == 403


def test_only_this_machine_connects_to_a_loopback_address():
    for bound in ("127.0.0.1", "127.0.0.2", "::1"):
        access = Access(bound, bound)
        assert not access.is_open
        assert access.path == "/"
        assert "no other machine" in access.cost
    for bound in ("192.0.2.1", "2001:db8::1", "0.0.0.0", "::"):
        access = Access("plant-7.example", bound, ["plant-7.example"])
        assert access.is_open
        assert len(access.token) >= 20
        assert "not encrypted" in access.cost
        assert Access("plant-7.example", bound, ["plant-7.example"]).token != access.token


@pytest.mark.parametrize(
    ("host", "bound"), [("0.0.0.0", "0.0.0.0"), ("0", "0.0.0.0"), ("::", "::")]
)
def test_every_network_takes_a_name(host, bound):
    with pytest.raises(InputError, match="add --allow-host NAME"):
        Access(host, bound)
    assert Access(host, bound, ["Plant.example", "2001:db8::1"]).name == "Plant.example"


@pytest.mark.parametrize("name", ["", "plant:80", "http://plant", "a b@c", "plant/page"])
def test_what_is_no_name_to_be_allowed(name):
    with pytest.raises(InputError, match="--allow-host is"):
        Access("127.0.0.1", "127.0.0.1", [name])


@pytest.fixture
def opened(monkeypatch):
    """A page as on an address that others reach, but on the loopback interface."""
    monkeypatch.setattr(
        "replay.views.page.server.Access",
        lambda host, bound, allowed: Access("192.0.2.1", "192.0.2.1", allowed),
    )
    machines = Machines("pump")
    machines.run(600)
    with PageServer(
        "127.0.0.1:0", "Pump", machines.history, machines.watcher.parameters, ["plant.example"]
    ) as page:
        yield page


def test_an_open_page_is_read_by_its_token_only(opened):
    token = urllib.parse.urlsplit(opened.url).path
    assert opened.url == f"http://192.0.2.1:{opened.port}{token}"
    assert status(opened, Host="plant.example") == 200
    for host in ("plant.example", f"192.0.2.1:{opened.port}", "localhost"):
        assert status(opened, "static/js/bokeh.min.js", Host=host) == 200
        assert status(opened, "ws", True, Host=host, Origin=f"http://{host}") == 101
        assert status(opened, "metadata", Host=host) == 404
    assert status(opened, Host="evil.example") == 403
    for path in ("", "ws", "static/js/bokeh.min.js", "favicon.ico", token[:-2] + "/", token[1:]):
        # from the root of the server, without the token
        up = "../" * token.count("/")
        assert status(opened, up + path) in (403, 404)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://127.0.0.1:{opened.port}/", timeout=60)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://127.0.0.1:{opened.port}{token[:-2]}X/", timeout=60)


def test_a_server_stops_as_if_it_had_never_been(caplog):
    before = threading.active_count()
    page = PageServer("127.0.0.1:0", "Pump", History(["value"]))
    page.start()
    fetched(page)
    with caplog.at_level(logging.WARNING):
        page.stop()
        page.stop()
    assert not caplog.records
    assert threading.active_count() == before
    with pytest.raises(urllib.error.URLError):
        fetched(page)
    PageServer(f"127.0.0.1:{page.port}", "Pump", History(["value"])).stop()


def test_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "{}:{}".format(*taken.getsockname())
        with pytest.raises(InputError, match=f"--serve {address} cannot be served: .*in use"):
            PageServer(address, "Pump", History(["value"])).start()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
        ("8080", ("127.0.0.1", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:http", "::1:80", "host:65536"])
def test_what_is_no_address(text):
    with pytest.raises(InputError, match="--serve is"):
        parse_address(text)


# -- in a browser -------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="there is no chromium with its chromedriver"
)


@pytest.fixture(scope="module")
def driver():
    with browser() as driver:
        yield driver


def drawn(driver):
    """Of each figure, whether there is anything on its canvas."""
    return driver.execute_script(
        """
        const found = []
        const search = (root) => {
          for (const each of root.querySelectorAll("*")) {
            if (each.shadowRoot) search(each.shadowRoot)
            if (each.tagName == "CANVAS" && each.width > 100) {
              const its = each.getContext("2d")
              if (its) found.push(its.getImageData(0, 0, each.width, each.height).data.some(v => v))
            }
          }
        }
        search(document)
        return found
        """
    )


def fits(driver):
    """Whether nothing is beyond the right edge."""
    return driver.execute_script(
        "const page = document.scrollingElement; return page.scrollWidth <= page.clientWidth"
    )


def text_of(driver, name):
    """The HTML of a table."""
    return driver.execute_script(
        "const found = Bokeh.documents[0].get_model_by_name(arguments[0]); return found.text", name
    )


def requests(driver):
    """What the page has asked the network for."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two machines, for all that look at it."""
    machines = replayed("a", "b", rows=600)
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, HOSTILE, machines.history, machines.series)
    return path


@needs_browser
@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_in_a_browser(driver, size, scheme, report):
    requests(driver)
    look(driver, report.as_uri(), size, scheme)
    until(lambda: sum(drawn(driver)) >= 5)
    assert fits(driver)
    assert complaints(driver) == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests(driver))
    ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert "<h3>b</h3>" in text_of(driver, "head")
    driver.execute_script("Bokeh.documents[0].get_model_by_name('select').value = 'a'")
    assert "<h3>a</h3>" in text_of(driver, "head")
    assert complaints(driver) == []


@needs_browser
def test_the_live_page_follows(driver, served):
    machines, page = served
    requests(driver)
    look(driver, page.url, "phone", "dark")
    until(lambda: sum(drawn(driver)) >= 6)
    assert fits(driver)
    for rows in (20, 1000):
        machines.run(rows)
        n = sum(head.n for head in machines.history.heads()) // 2
        until(lambda n=n: f"<dd>{n:,}</dd>" in text_of(driver, "head"))
        until(
            lambda n=n: (
                driver.execute_script(
                    """
                const plot = Bokeh.documents[0].get_model_by_name("recent 0")
                const source = plot.renderers.at(-2).data_source
                return source.get_length()
                """
                )
                == min(n, 400)
            )
        )
    assert complaints(driver) == []
    assert all(url.startswith((page.url, "data:", "ws:")) for url in requests(driver))
    driver.get("about:blank")


@needs_browser
def test_an_open_page_in_a_browser(driver, opened):
    """Its files and its websocket are found below the token."""
    look(driver, opened.url.replace("192.0.2.1", "127.0.0.1"), "desktop", "light")
    until(lambda: sum(drawn(driver)) >= 5)
    assert complaints(driver) == []
    driver.get("about:blank")
