"""Command line of `leap-suite`: arguments, messages and exit codes."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from leap_suite.plan.config import scale_settings
from leap_suite.plan.validation import ConfigError

SECONDS_BETWEEN_LINES = 2.0  # of progress

_EXAMPLES = """examples:
  leap-suite prune Qwen/Qwen2.5-0.5B --method wanda --sparsity 0.6 --out pruned
  leap-suite prune FOLDER --method leap --steps 100 --text mine.txt --out pruned
  leap-suite evaluate pruned --tasks piqa,arc_easy --limit 100

All other settings are those of scale own. HUB_MIRROR=DIR replaces the hub.
Exit codes: 0 for success, 1 for a failure, 2 for invalid arguments or settings.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line instead of the whole usage."""
        self.exit(2, f"leap-suite: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; the result goes to stdout, all else to stderr."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    from leap_suite.cli import commands

    command = {"prune": commands.prune, "evaluate": commands.evaluate}[arguments.command]
    try:
        with _messages():
            result = command(arguments)
    except KeyboardInterrupt:
        print("leap-suite: interrupted; nothing was written", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug or isinstance(error, ModuleNotFoundError):
            raise
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        print(f"leap-suite: {kind}{' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    print(result)
    return 0


@contextmanager
def _messages() -> Iterator[None]:
    """Show the log and progress lines of the stages."""
    from leap_suite.jobs import log

    before, log.SECONDS_BETWEEN_LINES = log.SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES
    logger, handler = logging.getLogger("leap_suite"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("leap-suite: %(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        log.SECONDS_BETWEEN_LINES = before


def _fraction(text: str) -> float:
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, such as 0.6 for 60 %")
    return float(text)


def _parser() -> _Parser:
    scale = scale_settings("own")
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser("leap-suite", epilog=_EXAMPLES, formatter_class=raw)
    parser.description = "Prune a language model and evaluate it."
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)

    about = "Write a pruned model with its mask.safetensors and manifest.json."
    prune = commands.add_parser("prune", help="prune a model into a folder", description=about)
    add = prune.add_argument
    add("model", metavar="MODEL", help="owner/name[@revision] of the hub, or a folder")
    add("--out", metavar="DIR", type=Path, required=True, help="a new folder, or an empty one")
    add = prune.add_argument_group("method").add_argument
    known, steps = scale["methods"], scale["methods"]["leap"]["steps"]
    names = f"default: wanda, of {', '.join(known)}"
    add("--method", metavar="NAME", default="wanda", choices=known, help=names)
    share = "fraction of the decoder blocks' weights to remove; default: 0.5"
    add("--sparsity", metavar="S", type=_fraction, default=0.5, help=share)
    add("--steps", metavar="N", type=int, help=f"optimiser steps; default: leap {steps}")
    add = prune.add_argument_group("text").add_argument
    text = "plain text for calibration or training, cut into sequences; default: C4"
    add("--text", metavar="FILE", type=Path, help=text)

    about = "Print a table of scores, and write DIR/evaluation.json."
    evaluate = commands.add_parser("evaluate", help="evaluate a model folder", description=about)
    add = evaluate.add_argument
    add("model", metavar="DIR", help="a folder of `leap-suite prune`, or of any model")
    add = evaluate.add_argument_group("tasks").add_argument
    tasks = scale["evaluation"]["tasks"]
    add("--tasks", metavar="NAMES", default=",".join(tasks), help="default: %(default)s")
    limits = ", ".join(str(task["limit"]) for task in tasks.values())
    items = f"first items of a task, or of each subject of mmlu; 0: all; default: {limits}"
    add("--limit", metavar="N", type=int, help=items)

    for add in (prune.add_argument, evaluate.add_argument):
        bos = "whether sequences begin with BOS; default: as the tokenizer does"
        add("--bos", action=argparse.BooleanOptionalAction, help=bos)
        add("--debug", action="store_true", help="show the traceback of an error")
    return parser
