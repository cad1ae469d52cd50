"""``python -m replay``, and the console script ``replay``."""

import sys
import traceback

from replay.engine.printable import printable

EXTRA = {"dateutil", "matplotlib", "pyarrow", "rich", "typer"}
"""What the extra ``replay`` installs."""


def main() -> None:
    """Run the command line; ends the process with its exit status."""
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
    except Exception:
        _faulty()


def _faulty() -> None:
    # a fault of the program, but its message may quote the input
    sys.stderr.write(printable(traceback.format_exc(), keep="\n"))
    sys.exit(1)


if __name__ == "__main__":
    main()
