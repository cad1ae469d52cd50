"""What the command sees to whatever is asked of it."""

import io
import signal
import subprocess
import sys

import pytest

import replay.cli.app
from replay.__main__ import main


@pytest.fixture
def handler_put_back():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handler_put_back")
def test_an_interrupt_while_no_row_is_labelled_is_said(monkeypatch, capsys):
    """And no traceback is shown, whatever is being imported or read."""
    monkeypatch.setattr(replay.cli.app, "app", lambda **_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 128 + signal.SIGINT
    assert capsys.readouterr().err == "stopped by SIGINT before it was done\n"


def test_a_second_interrupt_waits_for_no_thread():
    """A window that a thread has begun to look through takes seconds."""
    code = (
        "import signal, threading\n"
        "from replay.__main__ import _stopped\n"
        "for_ever = threading.Event()\n"
        "threading.Thread(target=for_ever.wait).start()\n"
        "try: _stopped(signal.SIGINT, None)\n"
        "finally: signal.raise_signal(signal.SIGINT)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr == "stopped by SIGINT before it was done\n"


@pytest.mark.usefixtures("handler_put_back")
def test_what_standard_output_cannot_hold_is_escaped(monkeypatch, tmp_path):
    """Such as the signs of tables, and names of columns, where a system has another encoding."""
    path, written = tmp_path / "rows.csv", io.BytesIO()
    path.write_text("Gerät,φ\n" + "".join(f"{i % 7},{i % 5}.5\n" for i in range(40)), "utf-8")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["replay", "look", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert not ended.value.code
    assert b"Ger\\xe4t" in written.getvalue()
