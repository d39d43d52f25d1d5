"""The command `leap-suite`: its arguments, and how it ends."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from suite.plan.config import scale_settings
from suite.plan.validation import ConfigError

_EXAMPLES = """examples:
  leap-suite prune Qwen/Qwen2.5-0.5B --method wanda --sparsity 0.6 --out pruned
  leap-suite prune FOLDER --method leap --steps 100 --text mine.txt --out pruned
  leap-suite evaluate pruned --tasks piqa,arc_easy --limit 100

All other settings are those of scale own. HUB_MIRROR=DIR takes the place of the hub.
Exit codes: 0, 1 for what failed, 2 for what cannot be asked for.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and not the whole usage before it."""
        self.exit(2, f"leap-suite: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, with its result on stdout and all else on stderr; its exit code."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    from suite.cli import bars, commands

    command = {"prune": commands.prune, "evaluate": commands.evaluate}[arguments.command]
    try:
        with bars.shown():
            said = command(arguments)
    except (Exception, KeyboardInterrupt) as error:
        if arguments.debug:
            raise
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        print(f"leap-suite: {kind}{' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    print(said)
    return 0


def _parser() -> _Parser:
    scale = scale_settings("own")
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser("leap-suite", epilog=_EXAMPLES, formatter_class=raw)
    parser.description = "Prune a language model, and measure what is left of it."
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
    share = "share of the weights in decoder blocks to remove; default: 0.5"
    add("--sparsity", metavar="S", type=float, default=0.5, help=share)
    add("--steps", metavar="N", type=int, help=f"of a training; default: leap {steps}")
    add = prune.add_argument_group("text").add_argument
    text = "plain text to prune by, cut into sequences as it stands; default: C4"
    add("--text", metavar="FILE", type=Path, help=text)

    about = "Print a table of scores, and write DIR/evaluation.json."
    evaluate = commands.add_parser("evaluate", help="measure a folder", description=about)
    add = evaluate.add_argument
    add("model", metavar="DIR", help="a folder of `leap-suite prune`, or of any model")
    add = evaluate.add_argument_group("tasks").add_argument
    tasks = scale["evaluation"]["tasks"]
    add("--tasks", metavar="NAMES", default=",".join(tasks), help="default: %(default)s")
    limits = ", ".join(str(task["limit"]) for task in tasks.values())
    items = f"first items of a task, or of each subject of mmlu; 0: all; default: {limits}"
    add("--limit", metavar="N", type=int, help=items)

    for add in (prune.add_argument, evaluate.add_argument):
        bos = "begin every text with BOS, or not; default: as the tokenizer does"
        add("--bos", action=argparse.BooleanOptionalAction, help=bos)
        add("--debug", action="store_true", help="show where an error comes from")
    return parser
