"""Rows of requests with a common prefix: the prefix once, then the rest of each request.

Plain lists of token ids, for `leap_suite.stages.packed`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile


@dataclass
class Row:
    """Requests that share their first `common` tokens, as one row.

    `inputs` are the tokens of each request but the last, which is only predicted; `targets` are its
    scored tokens, the last ones.
    """

    common: int = 0
    indices: list[int] = field(default_factory=list)
    inputs: list[list[int]] = field(default_factory=list)
    targets: list[list[int]] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Number of tokens of the row."""
        return self.common + sum(len(tokens) - self.common for tokens in self.inputs)

    def shared_with(self, inputs: Sequence[int]) -> int:
        """Length of the common prefix of the row's requests and this one."""
        pairs = zip(self.inputs[0][: self.common], inputs, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def add(self, index: int, inputs: list[int], targets: list[int]) -> None:
        """Append a request; the row's common prefix shrinks accordingly."""
        self.common = self.shared_with(inputs) if self.inputs else len(inputs)
        self.indices.append(index)
        self.inputs.append(inputs)
        self.targets.append(targets)

    def layout(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Tokens, their positions and branches (0 for the prefix), and the scored positions."""
        tokens = list(self.inputs[0][: self.common])
        positions, branches = [*range(self.common)], [0] * self.common
        scored: list[int] = []
        for branch, (request, targets) in enumerate(zip(self.inputs, self.targets, strict=True), 1):
            rest = request[self.common :]
            own = [*range(self.common), *range(len(tokens), len(tokens) + len(rest))]
            scored += own[-len(targets) :]
            tokens += rest
            positions += range(self.common, len(request))
            branches += [branch] * len(rest)
        return tokens, positions, branches, scored


def pack(requests: Sequence[tuple[list[int], list[int]]], context: int) -> list[Row]:
    """Rows of the requests (context and choice, as tokens), in their order.

    A request joins the previous row if it has the same context, or if half of each request is
    common, and the row fits into the model's `context`. Longer requests are truncated on the left,
    as in HFLM. Raises ValueError for a request without context or choice, or with a choice longer
    than the model's context.
    """
    rows: list[Row] = []
    last: list[int] = []
    for index, (before, choice) in enumerate(requests):
        if not before or not 0 < len(choice) <= context:
            raise ValueError(f"a choice of {len(choice)} tokens after {len(before)} has no score")
        inputs = (before + choice)[-(context + 1) : -1]
        if not rows or not _joins(rows[-1], inputs, context, same_context=before == last):
            rows.append(Row())
        rows[-1].add(index, inputs, choice)
        last = before
    return rows


def _joins(row: Row, inputs: Sequence[int], context: int, same_context: bool) -> bool:
    common = row.shared_with(inputs)
    length = common + sum(len(tokens) - common for tokens in [*row.inputs, inputs])
    half = 2 * common >= max(map(len, [*row.inputs, inputs]))
    return (half or same_context) and common > 0 and length <= context


def batches(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Batches of rows of similar length, longest first, of at most `tokens` tokens with padding."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: -row.length):
        if batch and (len(batch) + 1) * batch[0].length > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
