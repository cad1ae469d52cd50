"""``python -m replay``, and the console script ``replay``."""

from replay.cli.app import app


def main() -> None:
    """Run the command line; ends the process with its exit status."""
    app(prog_name="replay")


if __name__ == "__main__":
    main()
