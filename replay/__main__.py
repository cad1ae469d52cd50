"""``python -m replay``, and the console script ``replay``."""

import sys
import traceback

from replay.cli.app import app
from replay.engine.printable import printable


def main() -> None:
    """Run the command line; ends the process with its exit status."""
    try:
        app(prog_name="replay")
    except Exception:
        # a fault of the program, but its message may quote the input
        sys.stderr.write(printable(traceback.format_exc(), keep="\n"))
        sys.exit(1)


if __name__ == "__main__":
    main()
