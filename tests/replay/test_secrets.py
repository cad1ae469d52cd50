"""A password is in no output, message, process list, checkpoint or log."""

import os
import subprocess
import sys
from pathlib import Path

import broker as brokers
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from test_live import OPTIONS, Replay

SECRET = "orchid-in-winter"


@pytest.fixture
def guarded(tmp_path):
    """A broker that wants the password of the user pump."""
    if not brokers.MOSQUITTO:
        pytest.skip("amqtt is not set up with passwords here")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "pump", SECRET], check=True)
    passwords.chmod(0o644)
    broker = brokers.TestBroker(tmp_path / "broker", password_file=passwords)
    yield broker
    broker.stop()


def python(*arguments):
    """A process that was started with these words, and not forked."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-m", "replay", *map(str, arguments)], **pipes)


def all_bytes(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("by", ["file", "environment"])
def test_a_stream(by, guarded, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    arguments = []
    if by == "file":
        credentials = tmp_path / "credentials"
        credentials.write_text(f"user=pump\npassword={SECRET}\n")
        credentials.chmod(0o600)
        arguments = ["--credentials", credentials]
    else:
        monkeypatch.setenv("REPLAY_MQTT_USER", "pump")
        monkeypatch.setenv("REPLAY_MQTT_PASSWORD", SECRET)
    with Replay(
        *("live", guarded.address("plant/#"), *OPTIONS, *arguments, "--client", "reader"),
        *("--checkpoint", own / "state", "--every-rows", 1, "--labels", own / "labels.csv"),
        *("--report", own / "page.html", "--refused", own / "refused.csv"),
        start=python,
    ) as live:
        sender = Client(CallbackAPIVersion.VERSION2)
        sender.username_pw_set("pump", SECRET)
        sender.connect("127.0.0.1", guarded.port)
        sender.loop_start()
        # until the reader has subscribed nobody keeps what is sent
        while not (own / "state" / "checkpoint").exists():
            sender.publish("plant/a", '{"t": 1, "level": 2}', 1).wait_for_publish(20)
            assert live.process.poll() is None, live.process.stderr.read()
        sender.disconnect()
        sender.loop_stop()
        process = Path(f"/proc/{live.process.pid}/cmdline")
        assert b"live" in process.read_bytes()
        assert SECRET.encode() not in process.read_bytes()
        live.process.terminate()
        out, err = live.process.communicate(timeout=600)
    written = all_bytes(own)
    assert b"label" in written
    for told in (out, err, written):
        assert SECRET.encode() not in told


@pytest.mark.parametrize("wrong", ["refused", "in the address"])
def test_messages_of_failures(wrong, guarded, tmp_path):
    address = guarded.address("plant/#")
    environment = os.environ | {"REPLAY_MQTT_USER": "pump", "REPLAY_MQTT_PASSWORD": SECRET + "!"}
    if wrong == "in the address":
        address = address.replace("//", f"//pump:{SECRET}@")
    told = subprocess.run(
        [sys.executable, "-m", "replay", "live", address, "--value", "level"],
        env=environment,
        capture_output=True,
        timeout=600,
    )
    assert told.returncode == 2
    assert told.stderr
    assert SECRET.encode() not in told.stdout + told.stderr
