"""The page that says whether the paper's claim holds at this scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.headline import SIGNIFICANT
from suite.tables import markdown_text, method_label, write_lines

_SCOPE = {
    True: "The grid is the paper's: numbers are compared with the published ones beside this page.",
    False: (
        "At this scale models are others than the paper's, or smaller: it is the claim that is "
        "tested here, not the numbers."
    ),
}
_RULE = (
    "The claim holds if the mean difference over all cells is positive with p < "
    f"{SIGNIFICANT}. p values are two-sided, of paired tests over the items that both methods "
    "answered; the mean's takes cells as independent. The best layer-wise baseline of a cell is "
    "the one with the best score on these very items, which favours the baselines."
)


def write_verdict(judged: Mapping[str, Any], scale: str, published: bool, path: Path) -> None:
    """Write `verdict.md` from the headline; `published` says that the models are the paper's."""
    accuracy, perplexity = judged["average_accuracy"], judged["perplexity"]
    lines = [f"# Does LEAP beat the layer-wise baselines? Scale `{scale}`", "", _SCOPE[published]]
    for entry, name in (
        ("leap_minus_best_layer_wise", "the best layer-wise baseline"),
        ("leap_minus_admm", "ADMM"),
    ):
        lines += ["", f"## Against {name}", ""]
        lines += _section(accuracy[entry], perplexity[entry])
    write_lines(path, [*lines, "", "## Rule", "", _RULE])


def claim(entry: Mapping[str, Any] | None) -> str:
    """What a difference of accuracies says of the claim."""
    if entry is None:
        return "not run"
    significant = entry["p_value"] < SIGNIFICANT
    if entry["mean"] > 0:
        return "holds" if significant else "not shown: better, but within chance"
    return "contradicted" if significant else "not shown: not better"


def _section(accuracy: Mapping[str, Any] | None, perplexity: Mapping[str, Any] | None) -> list[str]:
    if accuracy is None or perplexity is None:
        return ["Not run: the grid lacks LEAP or this baseline."]
    cells = len(accuracy["cells"])
    lines = [
        f"**{claim(accuracy).capitalize()}.** Average accuracy {accuracy['mean']:+.2f} ± "
        f"{accuracy['standard_error']:.2f} points ({accuracy['min']:+.2f} to "
        f"{accuracy['max']:+.2f}), p = {_p(accuracy['p_value'])}; better in "
        f"{accuracy['cells_better']} of {cells} cells, significantly in "
        f"{accuracy['cells_significantly_better']}, significantly worse in "
        f"{accuracy['cells_significantly_worse']}. Perplexity is lower in "
        f"{perplexity['cells_better']} of {cells}.",
        "",
        "| Model | Sparsity | Baseline | Accuracy: LEAP | baseline | difference | p | "
        "Perplexity: LEAP | baseline | of |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for a, p in zip(accuracy["cells"], perplexity["cells"], strict=True):
        lines.append(
            f"| {markdown_text(a['model'])} | {a['sparsity']} | {method_label(a['baseline'])} "
            f"| {a['leap']:.2f} | {a['baseline_value']:.2f} "
            f"| {a['difference']:+.2f} ± {a['standard_error']:.2f} | {_p(a['p_value'])} "
            f"| {p['leap']:.2f} | {p['baseline_value']:.2f} | {method_label(p['baseline'])} |"
        )
    return lines


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
