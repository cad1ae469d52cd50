"""``python -m replay``, and the console script ``replay``."""

import io
import os
import signal
import sys
from types import FrameType

EXTRA = {"dateutil", "matplotlib", "pyarrow", "rich", "typer"}
"""What the extra ``replay`` installs."""


def main() -> None:
    """Run the command line; ends the process with its exit status."""
    # while rows are labelled, the loop heeds signals
    signal.signal(signal.SIGINT, _stopped)
    # what a terminal or a file cannot hold is escaped, as it is on standard error
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from replay.cli.app import app

        app(prog_name="replay")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            _faulty()
        sys.stderr.write(
            f"error: replay needs {missing}, which is not installed; install what the command line "
            "needs: pip install 'online-gmm[replay]'\n"
        )
        sys.exit(2)
    except _StoppedError as stopped:
        # outputs are tidied up by now; threads of a second look would end what they have begun
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(stopped.status)
    except Exception:
        _faulty()


class _StoppedError(BaseException):
    """A signal has come while nobody heeded it."""

    def __init__(self, status: int) -> None:
        self.status = status


def _stopped(number: int, frame: FrameType | None) -> None:
    signal.signal(number, lambda *_: os._exit(128 + number))
    sys.stderr.write("stopped by SIGINT before it was done\n")
    raise _StoppedError(128 + number)


def _faulty() -> None:
    # imported late: neither is needed if all is well
    import traceback

    from replay.engine.printable import printable

    # a fault of the program, but its message may quote the input
    sys.stderr.write(printable(traceback.format_exc(), keep="\n"))
    sys.exit(1)


if __name__ == "__main__":
    main()
