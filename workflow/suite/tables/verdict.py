"""The page that says whether the paper's claim holds at this scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.plan.methods import method_label
from suite.tables.headline import SIGNIFICANT
from suite.tables.main import markdown_text, write_lines

OPPONENTS = (
    ("leap_minus_best_layer_wise", "the best layer-wise baseline"),
    ("leap_minus_admm", "ADMM"),
)
RULE = (
    "The claim holds if the mean difference over all cells is positive with p < "
    f"{SIGNIFICANT}. p values are two-sided, of paired tests over the items that both methods "
    "answered; the mean's takes cells as independent. The best layer-wise baseline of a cell is "
    "the one with the best score on these very items, which favours the baselines."
)


def write_verdict(judged: Mapping[str, Any], scale: str, about: str, path: Path) -> None:
    """Write `verdict.md` from the headline; `about` says what the scale's results can tell."""
    accuracy, perplexity = judged["average_accuracy"], judged["perplexity"]
    lines = [f"# Does LEAP beat the layer-wise baselines? Scale `{scale}`", "", about]
    for entry, name in OPPONENTS:
        lines += ["", f"## Against {name}", ""]
        lines += _section(accuracy[entry], perplexity[entry])
    write_lines(path, [*lines, "", "## Rule", "", RULE])


def claim(entry: Mapping[str, Any] | None) -> str:
    """What a difference of accuracies says of the claim."""
    if entry is None:
        return "not run"
    significant = entry["p_value"] < SIGNIFICANT
    if entry["mean"] > 0:
        return "holds" if significant else "not shown: better, but within chance"
    return "contradicted" if significant else "not shown: not better"


def summary(accuracy: Mapping[str, Any], perplexity: Mapping[str, Any]) -> str:
    """The differences of all cells in one sentence or two."""
    cells = len(accuracy["cells"])
    return (
        f"Average accuracy {accuracy['mean']:+.2f} ± {accuracy['standard_error']:.2f} points "
        f"({accuracy['min']:+.2f} to {accuracy['max']:+.2f}), p {equals(accuracy['p_value'])}; "
        f"better in {accuracy['cells_better']} of {cells} cells, significantly in "
        f"{accuracy['cells_significantly_better']}, significantly worse in "
        f"{accuracy['cells_significantly_worse']}. Perplexity is lower in "
        f"{perplexity['cells_better']} of {cells}."
    )


def _section(accuracy: Mapping[str, Any] | None, perplexity: Mapping[str, Any] | None) -> list[str]:
    if accuracy is None or perplexity is None:
        return ["Not run: the grid lacks LEAP or this baseline."]
    lines = [
        f"**{claim(accuracy).capitalize()}.** {summary(accuracy, perplexity)}",
        "",
        "| Model | Sparsity | Baseline | Accuracy: LEAP | baseline | difference | p | "
        "Perplexity: LEAP | baseline | of |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for a, p in zip(accuracy["cells"], perplexity["cells"], strict=True):
        lines.append(
            f"| {markdown_text(a['model'])} | {a['sparsity']} | {method_label(a['baseline'])} "
            f"| {a['leap']:.2f} | {a['baseline_value']:.2f} "
            f"| {a['difference']:+.2f} ± {a['standard_error']:.2f} | {p_text(a['p_value'])} "
            f"| {p['leap']:.2f} | {p['baseline_value']:.2f} | {method_label(p['baseline'])} |"
        )
    return lines


def equals(value: float) -> str:
    """A p value in a sentence."""
    return p_text(value) if value < 0.001 else f"= {p_text(value)}"


def p_text(value: float) -> str:
    """A p value as printed."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
