"""Ctrl-C before the first row and after the last one."""

import signal

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
