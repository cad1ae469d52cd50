"""What the command sees to whatever is asked of it."""

import io
import signal
import subprocess
import sys

import pytest

from replay.__main__ import main


@pytest.fixture
def handler_put_back():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_no_row_is_labelled_is_said():
    """And no traceback is shown, whatever is being imported or read."""
    code = (
        "import signal, replay.cli.app\n"
        "from replay.__main__ import main\n"
        "replay.cli.app.app = lambda **_: signal.raise_signal(signal.SIGINT)\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr == "stopped by SIGINT before it was done\n"


def test_an_interrupt_of_a_second_look_waits_for_no_thread(tmp_path):
    """A window that a thread has begun to look through takes seconds; outputs are tidied up."""
    path = tmp_path / "rows.csv"
    path.write_text("level\n" + "".join(f"{i % 7}.5\n" for i in range(400)))
    code = (
        "import signal, sys, threading\n"
        "from online_gmm.segmentation import second_pass\n"
        "from replay.__main__ import main\n"
        "class Endless:\n"
        "    def __init__(self, *its):\n"
        "        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "        threading.Event().wait()\n"
        "second_pass.WholeView = Endless\n"
        f"sys.argv = ['replay', 'run', {str(path)!r}, '--labels', {str(tmp_path / 'out.csv')!r}]\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr.endswith("stopped by SIGINT before it was done\n")
    assert list(tmp_path.iterdir()) == [path]


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
