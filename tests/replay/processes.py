"""``replay`` in processes of their own that begin at once, as they are forked.

The one that they are forked from has imported everything, once for the tests of a worker. What
begins with Python itself is tested in `test_replay_cli`, `test_printable` and `test_installed`.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["imported"])


class Forked:
    """As `subprocess.Popen` of ``python -m replay``, with pipes.

    Parameters
    ----------
    arguments
        The words after ``replay``.
    """

    def __init__(self, *arguments):
        with pytest.MonkeyPatch.context() as patched:
            # the first of them finds what it imports, wherever a test has gone
            patched.setenv("PYTHONPATH", os.pathsep.join([str(_HERE.parents[1]), str(_HERE)]))
            forkserver.ensure_running()
        ends = [_CONTEXT.Pipe(duplex=False) for _ in range(3)]
        theirs = ends[0][0], ends[1][1], ends[2][1]
        words = [str(argument) for argument in arguments]
        self._process = _CONTEXT.Process(
            target=_become, args=(words, Path.cwd(), dict(os.environ), *theirs)
        )
        self._process.start()
        self.pid = self._process.pid
        self.stdin = _file(ends[0][1], "wb")
        self.stdout, self.stderr = _file(ends[1][0], "rb"), _file(ends[2][0], "rb")
        for end in theirs:
            end.close()

    @property
    def returncode(self):
        return self._process.exitcode

    def wait(self, timeout=600.0):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("replay", timeout)
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, lines=b"", timeout=600.0):
        """Write these lines, read all that it says, and wait for its end."""
        with ThreadPoolExecutor(2) as readers:
            said = [readers.submit(_rest, its) for its in (self.stdout, self.stderr)]
            # it may have gone already, or have been told all
            with contextlib.suppress(BrokenPipeError, ValueError):
                self.stdin.write(lines)
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return tuple(one.result() for one in said)


def run(*arguments, lines=b""):
    """As `subprocess.run` of ``python -m replay``, which is told these lines, with text."""
    process = Forked(*arguments)
    said, complained = process.communicate(lines)
    return subprocess.CompletedProcess(
        ["replay", *arguments], process.returncode, said.decode(), complained.decode()
    )


def _file(end, mode):
    """An end of a pipe as a file."""
    file = os.fdopen(os.dup(end.fileno()), mode)
    end.close()
    return file


def _rest(file):
    """All that is still to be read; nothing if it has been read to its end."""
    if file.closed:
        return b""
    with file:
        return file.read()


def _become(arguments, folder, environment, *ends):
    """Be ``replay`` with these words, in this folder, with these ends of pipes."""
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["replay", *arguments]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    import typer.main
    from imported import COMMAND

    from replay.__main__ import main
    from replay.cli.app import app

    build = typer.main.get_command
    typer.main.get_command = lambda its: COMMAND if its is app else build(its)
    main()
