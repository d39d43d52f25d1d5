"""Context of tables and figures: names and notes of the run, and its subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leap_suite.plan.cell import LEAP


@dataclass(frozen=True)
class Context:
    """Names and notes of a run or study, and the subject of its verdicts.

    `subject` is compared with the best of `kindred`, methods of its kind, with the best of all
    `opponents`, and with each of `against`. `study` is the settings section of the study, {} for
    the grid; `points` are its token budgets (`leap_suite.plan.tokens`), `methods` the settings of
    its methods, and `trials` the number of settings that were tried for a method
    (`leap_suite.plan.searches`).
    """

    scale: str
    name: str = "main"  # of the table
    about: str = ""
    note: str = ""
    subject: str = LEAP
    kind: str = "layer-wise"
    kindred: Sequence[str] = ()
    opponents: Sequence[str] = ()
    against: Sequence[str] = ()
    published: bool = False
    study: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
