"""Requests that begin alike as rows: what they have in common once, then the rest of each.

Plain lists of token ids; `suite.stages.packed` computes with them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """Requests that share the first `common` of their tokens, as one row.

    `inputs` are each request's tokens but the last, which is only predicted; `targets` the tokens
    that are scored, the last ones.
    """

    common: int = 0
    indices: list[int] = field(default_factory=list)
    inputs: list[list[int]] = field(default_factory=list)
    targets: list[list[int]] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens of the row."""
        return self.common + sum(len(tokens) - self.common for tokens in self.inputs)

    def shared_with(self, inputs: Sequence[int]) -> int:
        """How many first tokens all requests of the row and this one have in common."""
        shared = self.inputs[0][: self.common]
        pairs = enumerate(zip(shared, inputs, strict=False))
        return next((place for place, (a, b) in pairs if a != b), min(len(shared), len(inputs)))

    def add(self, index: int, inputs: list[int], targets: list[int]) -> None:
        """Another request, which leaves the row what it has in common with it."""
        self.common = self.shared_with(inputs) if self.inputs else len(inputs)
        self.indices.append(index)
        self.inputs.append(inputs)
        self.targets.append(targets)

    def layout(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Tokens, positions and branches (0 for what is common); then where scores are read."""
        tokens = list(self.inputs[0][: self.common])
        positions, branches = [*range(self.common)], [0] * self.common
        scored: list[int] = []
        for branch, (request, targets) in enumerate(zip(self.inputs, self.targets, strict=True), 1):
            rest = request[self.common :]
            places = [*range(self.common), *range(len(tokens), len(tokens) + len(rest))]
            scored += places[-len(targets) :]
            tokens += rest
            positions += range(self.common, len(request))
            branches += [branch] * len(rest)
        return tokens, positions, branches, scored


def pack(requests: Sequence[tuple[list[int], list[int]]], context: int) -> list[Row]:
    """Rows of the requests (context and choice, as tokens), in their order.

    A request joins the row before it where it has the same context, or where half of each is
    common, and the row stays within the model's `context`. Tokens beyond that are cut off on the
    left, as HFLM does. Raises ValueError for a request without context or choice, or with a choice
    that is longer than the model's context.
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
    """Rows of about one length, longest first, at most so many tokens together with the padding."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: -row.length):
        if batch and (len(batch) + 1) * batch[0].length > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
