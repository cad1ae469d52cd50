"""A broker on the loopback interface: mosquitto, or amqtt where there is none."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parents[2]
AMQTT = HERE / ".venv-broker" / "bin" / "amqtt"
MOSQUITTO = shutil.which(
    "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
)
if os.environ.get("TEST_BROKER") == "amqtt":
    MOSQUITTO = None
# Debian's own configuration drops messages above a thousand that wait
CONFIG = """\
listener {port} 127.0.0.1
{access}
{tls}
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 1000
autosave_interval 30
log_dest file {folder}/log
{user}
"""
AMQTT_CONFIG = """\
listeners:
  default: {{type: tcp, bind: "127.0.0.1:{port}"}}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}
"""


def name_of_broker() -> str:
    """Which one the tests are run with."""
    if MOSQUITTO:
        told = subprocess.run([MOSQUITTO, "-h"], capture_output=True, text=True).stdout
        return told.splitlines()[0] if told else "mosquitto"
    return "amqtt" if AMQTT.exists() else "none: neither mosquitto nor amqtt is installed"


class TestBroker:
    """A process of its own, with a folder of its own.

    Parameters
    ----------
    folder
        Where it keeps what it knows.
    password_file, certificate, key
        For those who may come in, and for TLS.
    """

    __test__ = False

    def __init__(self, folder, password_file=None, certificate=None, key=None):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        # not among those that the system gives to outgoing connections
        self.port = _free_port()
        access = "allow_anonymous true"
        if password_file is not None:
            access = f"allow_anonymous false\npassword_file {password_file}"
        tls = "" if certificate is None else f"certfile {certificate}\nkeyfile {key}"
        user = "user root" if os.geteuid() == 0 else ""
        self.config = folder / "config"
        form = CONFIG if MOSQUITTO else AMQTT_CONFIG
        self.config.write_text(
            form.format(port=self.port, access=access, tls=tls, folder=folder, user=user)
        )
        self.process = None
        self.start()

    def address(self, topic, scheme="mqtt"):
        return f"{scheme}://127.0.0.1:{self.port}/{topic}"

    def start(self):
        program = [MOSQUITTO] if MOSQUITTO else [str(AMQTT)]
        with (self.folder / "output").open("a") as output:
            self.process = subprocess.Popen(
                [*program, "-c", str(self.config)], stdout=output, stderr=output
            )
        until = time.monotonic() + 120.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    said = (self.folder / "output").read_text()
                    raise RuntimeError(f"the broker does not start: {said}") from None
                time.sleep(0.02)

    def save(self):
        """Let it write down what it knows, as it does once in a while."""
        kept = self.folder / "mosquitto.db"
        kept.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 120.0
        while not kept.exists():
            assert time.monotonic() < until, "the broker does not save"
            time.sleep(0.01)

    def stop(self):
        """Let it end, and write down what it knows."""
        self.process.terminate()
        self.process.wait(10)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(print(name_of_broker()))
