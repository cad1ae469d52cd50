"""``python -m online_gmm``: the version, the kernel, and what the commands are."""

import platform
from importlib.util import find_spec

import online_gmm


def main() -> None:
    """Print what is installed, and where to go on."""
    kernel = online_gmm.__kernel__
    print(f"online-gmm {online_gmm.__version__}, Python {platform.python_version()}")
    if kernel == "interpreted":
        kernel += ": same numbers, much slower; install where there is a C compiler"
    print(f"kernel: {kernel}")
    print()
    print("replay look FILE     what a file holds")
    print("replay run FILE      label a file row by row: which regime, since when, and why")
    print("replay live SOURCE   label what comes in now: standard input, MQTT, Kafka")
    print("replay check FILE    compare the stream with batch EM")
    print("replay --help        all commands and options")
    if find_spec("typer") is None:
        print()
        print("The command line needs: pip install 'online-gmm[replay]'")


if __name__ == "__main__":
    main()
