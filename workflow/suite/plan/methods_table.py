"""Table of docs/methods.md: `PYTHONPATH=.:workflow python -m suite.plan.methods_table`."""

from collections.abc import Mapping
from typing import Any

from suite.plan.methods import known_methods, method_schema

_HEADER = (
    "method", "what it does", "weights compete in", "paper", "changes kept weights",
    "licence of the public code",
)  # fmt: skip


def table() -> str:
    """All methods by their schemas as a Markdown table; layer-wise ones first, sorted by name."""
    schemas = {name: method_schema(name) for name in known_methods()}
    order = sorted(schemas, key=lambda name: (schemas[name].get("trained", False), name))
    lines = [_HEADER, ["---"] * len(_HEADER), *(_row(name, schemas[name]) for name in order)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, schema: Mapping[str, Any]) -> list[str]:
    return [
        f"`{name}`",
        schema["description"].rstrip("."),
        schema["competes_in"],
        _link(schema["paper"]),
        "yes" if schema["changes_weights"] else "no",
        schema["licence"],
    ]


def _link(paper: Any) -> str:
    if paper == "none":
        return "none"
    if "arxiv" in paper:
        return f"[{paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']})"
    return f"[{paper['title']}]({paper['url']})"


if __name__ == "__main__":
    print(table())
