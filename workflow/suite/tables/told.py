"""What a table or page is told beside the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suite.plan.cell import LEAP


@dataclass(frozen=True)
class Told:
    """How the run is called, what it can say, and whom its verdicts are about.

    `subject` is judged against the best of `kindred`, methods of its kind, against the best of all
    `opponents`, and against each of `against`. `study` is the section of the study that is shown,
    {} for the grid; `points` say how much text its methods are shown (`suite.plan.tokens`);
    `methods` are the settings of its methods.
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
