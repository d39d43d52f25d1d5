"""Start of the command `leap-suite`, where the packages of the extra [suite] may be missing."""

import sys


def main() -> int:
    """Run the command; one line where a package that it needs is not installed."""
    try:
        from leap_suite.cli.main import main as run

        return run()
    except ModuleNotFoundError as error:
        needed = "install the packages of the suite in its clone: pip install -e '.[suite]'"
        print(f"leap-suite: there is no {error.name}; {needed}", file=sys.stderr)
        return 1
