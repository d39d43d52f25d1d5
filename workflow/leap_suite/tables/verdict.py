"""Verdict: whether the subject beats its baselines at this scale."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results
from leap_suite.tables import caption as kind
from leap_suite.tables import published_leads
from leap_suite.tables.context import Context
from leap_suite.tables.entries import Field, escaped, number_field, table
from leap_suite.tables.entries import perplexity as printed
from leap_suite.tables.headline import SIGNIFICANT, judge
from leap_suite.tables.leaderboard import leaderboard_lines
from leap_suite.tables.text import lines_text, mixed_lines

RULE = (
    f"The claim holds if the mean difference over all cells is positive with p < {SIGNIFICANT}, "
    "adjusted for the number of these verdicts (Holm). p values are two-sided, of paired tests "
    "over the items that both methods answered. The mean's standard error is clustered by item: "
    "an item that was answered in several cells is one draw, not several. It covers another draw "
    "of items, and another training only where {subject} has several seeds: the variance between "
    "seeds, pooled over cells, is added then. How far the difference changes from one model and "
    "sparsity to the next is what the standard deviation between cells says. The best baseline of "
    "a cell is the one with the best score on these very items, which favours the baselines; "
    "perplexity is compared with the lowest of any baseline. All baselines are the methods of the "
    "grid but controls, {subject} itself, its "
    "variants, and what keeps masks or takes densities of these."
)


def verdict(results: Results, context: Context) -> Mapping[str, str]:
    """`verdict.md`: every verdict with its cells, or the leaderboard if there is none."""
    generated, judged = results.generated, judge(results, context)
    label = method_label(context.subject)
    title = f"Does {label} beat the {context.kind} baselines? Scale `{context.scale}`"
    lines = [f"# {kind.titled(title, generated)}", "", context.about, *mixed_lines(results), ""]
    for found in judged["against"]:
        lines += [f"## Against {found['name']}", "", *_section(found, label, generated), ""]
    if judged["against"]:
        lines += ["## Rule", "", rule(context)]
    else:
        lines += [f"{no_verdict(context)} The leaderboard:", "", *leaderboard_lines(results)]
    # table against_published refuses generated tasks
    if context.published and not generated:
        leads = published_leads.leads(results)
        lines += ["", "## As published", "", *published_leads.lines(leads)]
    return {"md": lines_text(lines)}


def rule(context: Context) -> str:
    """Rule of the verdicts."""
    return RULE.format(subject=method_label(context.subject))


def no_verdict(context: Context) -> str:
    """Reason for a missing verdict."""
    label = method_label(context.subject)
    return f"No verdict: the grid has no cell with {label} and an opponent."


def best_baselines(accuracy: Mapping[str, Any]) -> str:
    """Best baselines by accuracy with counts: "ALPS in 3, ADMM in 1 of 4 cells"."""
    counts = Counter(method_label(cell["baseline"]) for cell in accuracy["cells"])
    texts = [f"{method} in {count}" for method, count in counts.most_common()]
    return f"{', '.join(texts)} of {len(accuracy['cells'])} cells"


def claim(accuracy: Mapping[str, Any]) -> str:
    """Verdict on the claim from a difference of accuracies."""
    significant = accuracy["p_holm"] < SIGNIFICANT
    if accuracy["mean"] > 0:
        return "holds" if significant else "not shown: better, but within chance"
    return "contradicted" if significant else "not shown: not better"


def short_summary(accuracy: Mapping[str, Any], generated: bool) -> str:
    """Mean difference and count of better cells in one sentence."""
    return (
        f"{kind.accuracy(generated)} {accuracy['mean']:+.2f} ± {accuracy['standard_error']:.2f} "
        f"points, {_p_values(accuracy)}, better in {accuracy['cells_better']} of "
        f"{len(accuracy['cells'])} cells."
    )


def summary(found: Mapping[str, Any]) -> str:
    """Differences of all cells in a few sentences."""
    accuracy, perplexity = found["accuracy"], found["perplexity"]
    cells = len(accuracy["cells"])
    tasks = sorted(accuracy["by_task"].items(), key=lambda task: -abs(task[1]))
    parts = ", ".join(f"{title} {points:+.2f}" for title, points in tasks)
    over = ", and over seeds" if accuracy["covers_seeds"] else ""
    return (
        f"Average accuracy {accuracy['mean']:+.2f} points, standard error "
        f"{accuracy['standard_error']:.2f} (clustered by item{over}), {_p_values(accuracy)}; "
        f"{_spread(accuracy)}. Points of it by task: {parts}. {_norm(accuracy)}"
        f"Better in {accuracy['cells_better']} of {cells} cells, significantly in "
        f"{accuracy['cells_significantly_better']}, significantly worse in "
        f"{accuracy['cells_significantly_worse']}. Perplexity is lower in "
        f"{perplexity['cells_better']} of {cells}."
    )


def _p_values(accuracy: Mapping[str, Any]) -> str:
    """p value of a verdict, and the adjusted one where it looks different."""
    adjusted = p_text(accuracy["p_holm"])
    same = adjusted == p_text(accuracy["p_value"])
    return f"p {equals(accuracy['p_value'])}" + ("" if same else f" ({adjusted} adjusted)")


def _norm(accuracy: Mapping[str, Any]) -> str:
    """Difference by normalised accuracy, in a sentence, if it is known."""
    if accuracy["norm"] is None:
        return ""
    mean, error, p_value = accuracy["norm"]
    return (
        f"With `acc_norm` in place of `acc` where a task has it {mean:+.2f} ± {error:.2f}, "
        f"p {equals(p_value)}. "
    )


def _spread(accuracy: Mapping[str, Any]) -> str:
    """Spread between cells and between seeds."""
    text, deviation = "a single cell", "standard deviation between"
    if accuracy["cells_std"] is not None:
        text = (
            f"{deviation} the {len(accuracy['cells'])} cells {accuracy['cells_std']:.1f}, "
            f"smallest {accuracy['min']:+.2f}, largest {accuracy['max']:+.2f}"
        )
    seeds = accuracy["seeds_std"]
    return text if seeds is None else f"{text}; {deviation} a cell's seeds {seeds:.1f}"


def _section(found: Mapping[str, Any], label: str, generated: bool) -> list[str]:
    headings = ["Model", "Sparsity", "Baseline", f"{kind.accuracy(generated)}: {label}", "baseline",
                "difference", "p", f"Perplexity: {label}", "baseline",
                "baseline by perplexity"]  # fmt: skip
    # "<" of a p value stays as it is
    rows = [[escaped(row[0].text), *(field.text for field in row[1:])] for row in fields(found)]
    text = f"**{claim(found['accuracy']).capitalize()}.** {summary(found)}"
    return [text, "", *table(headings, rows, "lrlrrrrrrl")]


def fields(found: Mapping[str, Any]) -> list[list[Field]]:
    """Cells of a verdict, for Markdown and the page."""
    return [
        [
            Field(a["model"]),
            Field(a["sparsity"]),
            Field(method_label(a["baseline"])),
            number_field(a["value"]),
            number_field(a["baseline_value"]),
            Field(f"{a['difference']:+.2f} ± {a['standard_error']:.2f}", a["difference"]),
            Field(p_text(a["p_value"]), a["p_value"]),
            number_field(p["value"], printed),
            number_field(p["baseline_value"], printed),
            Field(method_label(p["baseline"])),
        ]
        for a, p in zip(found["accuracy"]["cells"], found["perplexity"]["cells"], strict=True)
    ]


def equals(value: float) -> str:
    """p value in a sentence."""
    return p_text(value) if value < 0.001 else f"= {p_text(value)}"


def p_text(value: float) -> str:
    """Format of a p value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
