"""Changes of regime, told to whoever asks: each of them, once it is known, and after a kill."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from crash_notices import Listener
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families
from test_live import Replay, message

from replay.engine.batch import Batch
from replay.engine.fleet import Fleet
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError, Row
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.couriers import Chat, Command, Courier, DeliveryError, Webhook
from replay.sinks.mqtt_state import MqttState, discovery
from replay.sinks.notices import Notices
from replay.sources.mqtt_broker import Broker

HERE = Path(__file__).parent
START = 1.7e9
CHANGE = {
    "kind": "change",
    "key": "pump 7",
    "regime": 2,
    "name": None,
    "since": "t9",
    "since_row": 9,
    "since_utc": None,
    "probability": 0.5,
    "unknown": False,
    "before": 1,
    "number": 3,
    "sent_at": "2026-01-01T00:00:00.000+00:00",
}


class Kept:
    """A target that keeps what it gets, and refuses so many times first."""

    def __init__(self, refuses=0):
        self.told, self._refuses = [], refuses

    def send(self, notice):
        if self._refuses:
            self._refuses -= 1
            raise DeliveryError("not now")
        self.told.append(dict(notice))

    def close(self):
        """Nothing."""


class Calendar:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Told:
    """Rows of two keys in two regimes each, and what is told of them."""

    values = ("x",)
    time, key, timed = "t", "device", False

    def __init__(self, **options):
        self.target, self.calendar, self.n = Kept(), Calendar(), 0
        settings = Settings(2, warm_up=20)
        self.fleet = Fleet(
            lambda: Series(settings.model(self), SeriesOptions()),
            lambda state: Series.from_bytes(state, self.values, SeriesOptions()),
        )
        self.notices = self.make(**options)

    def make(self, **options):
        self.courier = Courier("kept", self.target)
        return Notices(
            {"kept": self.courier},
            self.fleet.__getitem__,
            self.fleet.items,
            calendar=self.calendar,
            **options,
        )

    def rows(self, levels, key="a", size=7):
        rows = []
        for level in levels:
            self.n += 1
            value = 10.0 * level + self.n % 3
            rows.append(Row(self.n, f"t{self.n}", (str(value),), {"x": value}, None, key))
        for i in range(0, len(rows), size):
            for labelled in self.fleet.label(Batch.of_rows(rows[i : i + size])):
                self.notices.write(labelled)

    def said(self):
        self.notices.flush()
        self.notices.saved()
        self.courier.close()
        return self.target.told


def test_every_change_is_told_and_nothing_else():
    told = Told()
    told.rows([0, 1] * 10 + [0] * 30 + [1] * 30 + [0] * 5)
    told.rows([0, 1] * 10 + [1] * 30, "b")
    said = told.said()
    found = {key: [one for one in said if one["key"] == key] for key in "ab"}
    for key, its in found.items():
        series = told.fleet[key]
        assert len(its) == series.n_changes + 1
        assert [one["before"] for one in its] == [None, *(one["regime"] for one in its[:-1])]
        assert its[-1]["regime"] == series.segmenter.current.label
        assert its[-1]["since_row"] == series.segmenter.current.start[0]
        assert all(one["kind"] == "change" and not one["unknown"] for one in its)
    assert [one["number"] for one in said] == list(range(1, len(said) + 1))
    last = found["a"][-1]
    assert (last["since_row"], last["since"]) == (81, "t81")
    assert 0.9 < last["probability"] <= 1.0


def test_nothing_is_told_before_a_checkpoint():
    told = Told()
    told.rows([0, 1] * 15)
    assert told.notices.wants_saving
    assert told.courier.pending() == []
    position = told.notices.position()
    assert len(position["pending"]["kept"]) == position["sent"] > 0
    assert [one["number"] for one in told.said()] == list(range(1, position["sent"] + 1))
    assert not told.notices.wants_saving


def test_what_has_not_arrived_is_told_after_a_stop_and_nothing_twice():
    told = Told()
    told.rows([0, 1] * 10 + [0] * 20)
    before = told.said()
    told.rows([1] * 5)
    position = json.loads(json.dumps(told.notices.position()))
    (left,) = position["pending"]["kept"]
    told.target = Kept()
    told.notices = told.make()
    told.notices.go_to(position)
    told.rows([1] * 10 + [0] * 10)
    found = told.said()
    assert found[0] == left
    assert [(one["regime"], one["before"]) for one in found] == [
        (left["regime"], before[-1]["regime"]),
        (before[-1]["regime"], left["regime"]),
    ]
    assert found[1]["number"] == left["number"] + 1


def test_a_key_in_its_warm_up_at_a_stop_is_told_when_it_is_known():
    told = Told()
    told.rows([0, 1] * 5)
    position = told.notices.position()
    told.notices = told.make()
    told.notices.go_to(position)
    told.rows([0, 1] * 10)
    assert told.said()[0]["since_row"] == 1


def test_hold_off_and_still_so():
    told = Told(hold_off=60.0, remind=600.0)
    told.rows([0, 1] * 10 + [0] * 30)
    told.notices.flush()
    assert not told.notices.wants_saving
    told.calendar.now += 60.0
    told.notices.flush()
    # a regime that is left again at once is not told
    told.rows([1] * 5 + [0] * 5)
    told.calendar.now += 61.0
    told.notices.flush()
    told.rows([1] * 5)
    told.calendar.now += 61.0
    told.notices.flush()
    told.calendar.now += 601.0
    said = told.said()
    low = said[0]["regime"]
    assert [(one["kind"], one["regime"]) for one in said] == [
        ("change", low),
        ("change", 1 - low),
        ("still", 1 - low),
    ]
    assert said[2]["since_row"] == said[1]["since_row"] == 61


def test_a_courier_tries_again_until_it_arrives():
    target, said = Kept(refuses=3), []
    courier = Courier("there", target, said.append, first_nap=0.001)
    courier.take([{"n": 1}, {"n": 2}])
    courier.close()
    assert target.told == [{"n": 1}, {"n": 2}]
    assert courier.n_failed == 3
    assert said == [
        "--notify there: a notice has not arrived (not now); it is tried again until it does"
    ]


def test_what_has_not_arrived_in_the_end_is_said():
    said = []
    courier = Courier("there", Kept(refuses=1000), said.append, first_nap=60.0)
    courier.take([{"n": 1}])
    courier.close(within=0.01)
    assert "1 notice has not arrived" in said[-1]
    assert courier.pending() == [{"n": 1}]


def test_a_webhook():
    listener = Listener()
    Webhook(listener.url).send(CHANGE)
    assert listener.told == [CHANGE]
    listener.close()
    with pytest.raises(DeliveryError, match="refused"):
        Webhook(listener.url).send(CHANGE)


def test_a_webhook_that_is_not_glad():
    listener = Listener(refuses=1.0)
    with pytest.raises(DeliveryError, match="503"):
        Webhook(listener.url).send(CHANGE)
    listener.close()


def test_a_command(tmp_path):
    script = tmp_path / "tell.py"
    script.write_text(
        "import json, os, sys\n"
        "told = {'stdin': json.load(sys.stdin), 'key': os.environ['REPLAY_KEY']}\n"
        f"open({str(tmp_path / 'told')!r}, 'w').write(json.dumps(told))\n"
        "sys.exit('no' if told['key'] == 'bad' else 0)\n"
    )
    command = Command(f"{sys.executable} {script}")
    command.send(CHANGE)
    assert json.loads((tmp_path / "told").read_text()) == {"stdin": CHANGE, "key": "pump 7"}
    with pytest.raises(DeliveryError, match="status 1 no"):
        command.send({**CHANGE, "key": "bad"})
    with pytest.raises(InputError, match="there is no program 'no-such-program'"):
        Command("no-such-program x")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_chat_by_apprise():
    """Through an address of apprise's that posts to a web server."""
    pytest.importorskip("apprise")
    listener = Listener()
    Chat(listener.url.replace("http://", "json://")).send(CHANGE)
    (told,) = listener.told
    assert told["message"] == "pump 7: regime 2, before 1, since t9, probability 50 %"
    listener.close()
    with pytest.raises(DeliveryError):
        Chat(listener.url.replace("http://", "json://")).send(CHANGE)
    with pytest.raises(InputError, match="apprise knows no such address"):
        Chat("nonsense://secret")


# -- MQTT and Home Assistant ----------------------------------------------------------------------


def retained(broker, topics, n):
    """What a broker keeps, by topic."""
    found, done = {}, threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)

    def came(client, userdata, message):
        assert message.retain
        found[message.topic] = json.loads(message.payload)
        if len(found) >= n:
            done.set()

    client.on_message = came
    client.connect("127.0.0.1", broker.port)
    client.subscribe([(topic, 1) for topic in topics])
    client.loop_start()
    assert done.wait(20.0), sorted(found)
    client.disconnect()
    client.loop_stop()
    return found


def test_the_state_of_each_key_is_kept_by_the_broker(any_broker):
    target = MqttState(Broker.of(any_broker.address("regimes/{key}")), True, home_assistant=True)
    courier = Courier("broker", target)
    courier.take([CHANGE, {**CHANGE, "key": "a/b+#"}, {**CHANGE, "regime": 5}])
    courier.close()
    found = retained(any_broker, ["regimes/#", "homeassistant/#"], 10)
    assert found["regimes/pump 7"] == {**CHANGE, "regime": 5}
    assert found["regimes/a_b__"]["key"] == "a/b+#"
    configured = {topic: its for topic, its in found.items() if topic.startswith("home")}
    assert configured == {
        **discovery("pump 7", "regimes/pump 7"),
        **discovery("a/b+#", "regimes/a_b__"),
    }


def test_a_topic_that_cannot_tell_keys_apart(any_broker):
    with pytest.raises(InputError, match=r"put \{key\} into it, as in regimes/\{key\}"):
        MqttState(Broker.of(any_broker.address("regimes")), True)


def test_home_assistant_is_told_as_its_documentation_demands():
    """https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery"""
    told = discovery("pump 7", "regimes/pump 7")
    topics = [
        re.fullmatch(r"homeassistant/(sensor|binary_sensor)/([a-zA-Z0-9_-]+)/([a-z]+)/config", its)
        for its in told
    ]
    assert [match[1] for match in topics] == ["sensor"] * 3 + ["binary_sensor"]
    (node,) = {match[2] for match in topics}
    assert len({its["unique_id"] for its in told.values()}) == 4
    for its in told.values():
        # required: a state topic; a device with an identifier, and a unique id to be one of its
        assert its["state_topic"] == "regimes/pump 7"
        assert its["device"]["identifiers"] == [node]
        assert its["device"]["name"] == "pump 7"
        assert its["origin"]["name"]
        assert its["qos"] in (0, 1, 2)
    by_name = {its["name"]: its for its in told.values()}
    assert by_name["Since"]["device_class"] == "timestamp"
    assert by_name["Regime unknown"]["device_class"] == "problem"
    # the keys of the JSON that the templates name are those of a notice
    named = set(re.findall(r"value_json\.(\w+)", json.dumps(list(told.values()))))
    assert named == {"regime", "name", "unknown", "since_utc", "probability"} <= set(CHANGE)


@pytest.mark.parametrize(
    ("notice", "states"),
    [
        (
            {**CHANGE, "since_utc": "2026-01-01T00:00:00.000+00:00"},
            ["2", "2026-01-01T00:00:00.000+00:00", "50.0", "OFF"],
        ),
        ({**CHANGE, "name": "idle", "probability": None}, ["idle", "None", "None", "OFF"]),
        (
            {**CHANGE, "regime": None, "unknown": True, "probability": None},
            ["unknown", "None", "None", "ON"],
        ),
        ({**CHANGE, "regime": 0}, ["0", "None", "50.0", "OFF"]),
    ],
)
def test_templates_give_the_states(notice, states):
    """As Home Assistant renders them: with Jinja. An entity whose state is None is unknown."""
    jinja2 = pytest.importorskip("jinja2")
    found = [
        jinja2.Template(its["value_template"]).render(value_json=notice)
        for its in discovery("pump 7", "t").values()
    ]
    assert found == states


def test_keys_that_look_alike_are_two_devices():
    one, other = discovery("a b", "t/a b"), discovery("a+b", "t/a_b")
    assert not set(one) & set(other)


# -- the command ----------------------------------------------------------------------------------


def test_changes_of_a_live_stream_are_posted():
    listener = Listener()
    options = ["--value", "level", "--time", "t", "--time-format", "s", "--key", "device"]
    options += ["--regimes", "2", "--warm-up", "60", "--notify", listener.url]
    with Replay("live", *options) as live:
        live.tell(message(i) for i in range(400))
        labels = live.hear(400)
        status, said = live.end()
    assert status == 0, said
    changes = sum(row["change"] for row in labels)
    assert len(listener.told) == changes + 2
    listener.close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--home-assistant"], "--home-assistant is for --notify"),
        (["--remind", "5"], "--remind is for --notify"),
        (["--notify", "http://127.0.0.1:1/x", "--home-assistant"], "needs a broker"),
        (["--notify", "somewhere"], "'somewhere' is no address"),
        (["--notify", "command:no-such-program"], "there is no program"),
    ],
)
def test_what_cannot_be_told(cli, options, problem):
    found = cli("live", "-", "--value", "x", *options)
    assert found.exit_code == 2
    assert problem in found.output.replace("\n", " ")


def test_no_change_is_lost_over_kills():
    done = subprocess.run(
        [sys.executable, HERE / "crash.py", "--notices", "--kills", "10", "--rows", "1200"],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 kills" in done.stdout


def test_metrics_beside_the_page():
    bokeh = pytest.importorskip("bokeh")
    assert bokeh
    options = ["--value", "level", "--key", "device", "--regimes", "2", "--warm-up", "60"]
    with Replay("live", *options, "--serve", "127.0.0.1:0") as live:
        live.tell(["nonsense", *(message(i) for i in range(300))])
        live.hear(300)
        said = live.process.stderr.readline().decode()
        url = re.search(r"http://\S+", said)[0]
        text, until = "", time.monotonic() + 300.0
        # labels are written before the page has them
        while 'replay_key_rows_total{key="a"}' not in text and time.monotonic() < until:
            with urllib.request.urlopen(url + "metrics", timeout=30) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                text = answer.read().decode()
        live.end()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["replay_messages_total",] == 301
    assert found["replay_rows_total",] == 300
    assert found["replay_refused_total", "messages that are no JSON"] == 1
    assert found["replay_keys",] == 2
    assert found["replay_key_rows_total", "a"] == 150
    assert found["replay_regime", "b"] in (0, 1)
    assert found["replay_changes_total", "a"] > 0
