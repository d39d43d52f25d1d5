"""Start of the command `leap-suite`, where the packages of the extra [suite] may be missing."""

import sys


def main() -> int:
    """Run the command; one line where what it needs is not installed."""
    try:
        from leap_suite.cli.main import main as run
    except ModuleNotFoundError as error:
        needed = "the command needs the packages of the suite: pip install 'leap-suite[suite]'"
        print(f"leap-suite: there is no {error.name}; {needed}", file=sys.stderr)
        return 1
    return run()
