"""What README and docs say of equal tokens and of fewer bits, computed from the tracked tables."""

from typing import Any

import pandas as pd
import pytest

from leap_suite.artifacts.files import read_json
from leap_suite.results.statistics import compare
from tests.conftest import ROOT
from tests.unit.test_claim_in_prose import (
    README,
    RESULTS,
    assert_said,
    average,
    evaluation,
    scores,
)

TABLE = pd.read_csv(ROOT / "results/examples/mini/budget.csv", dtype={"sparsity": str})
TABLE = TABLE[TABLE["tokens"] > 0]
LOW = ["0.5", "0.6"]


def row(method: str, sparsity: str, share: float = 1) -> Any:
    at = TABLE[TABLE["method"].eq(method) & TABLE["sparsity"].eq(sparsity)]
    return at[at["share"].eq(share)].squeeze()


def lead(method: str, sparsity: str) -> str:
    found = row(method, sparsity)
    return f"{abs(found['lead']):.1f} ± {found['lead_stderr']:.1f}"


def range_of(column: str, methods: list[str], sparsities: list[str]) -> str:
    at = TABLE[TABLE["method"].isin(methods) & TABLE["sparsity"].isin(sparsities)]
    values = at[column] if column == "lead" else 100 * (1 - at[column])
    values = values.abs().sort_values()
    return f"{values.iloc[0]:.1f} to {values.iloc[-1]:.1f}"


def test_training_weights_is_ahead_at_every_budget_at_50_and_60_percent():
    for methods in (["finetune", "admm-finetune"], ["gmp"], ["leap-finetune"]):
        at = TABLE[TABLE["method"].isin(methods) & TABLE["sparsity"].isin(LOW)]
        assert len(at) == 8 * len(methods) and (at["lead"] < 0).all(), methods
        assert (at["ppl_ratio"] < 1).all(), methods
        assert_said(range_of("lead", methods, LOW), RESULTS)
    both = ["finetune", "admm-finetune"]
    assert_said(f"in perplexity by {range_of('ppl_ratio', both, LOW)} %", RESULTS)
    leads = " and ".join(lead("finetune", sparsity) for sparsity in LOW)
    assert_said(f"by {leads} points with all", README)


def test_from_70_percent_on_the_mask_matters():
    assert_said(f"by {range_of('lead', ['finetune'], ['0.7'])} points", RESULTS)
    assert_said(f"ADMM's ({range_of('lead', ['admm-finetune'], ['0.7'])})", RESULTS)
    best = TABLE[TABLE["sparsity"].eq("0.7") & TABLE["share"].eq(1)].set_index("method")["average"]
    assert best.idxmax() == "leap-finetune"
    assert_said(f"{lead('leap-finetune', '0.7')} points above LEAP", RESULTS)
    for share in (0.125, 0.25, 0.5):
        at = TABLE[TABLE["sparsity"].eq("0.8") & TABLE["share"].eq(share)]
        assert at.set_index("method")["average"].idxmax() == "leap"
    wanda, admm = lead("finetune", "0.8"), lead("admm-finetune", "0.8")
    assert_said(f"{wanda} points ahead of fine-tuning of Wanda's mask and {admm} of", RESULTS)
    assert_said(f"At 70 % it is {lead('finetune', '0.7')} and at 80 % {wanda} behind LEAP", README)
    assert_said(f"at 80 % ELSA is {lead('elsa', '0.8')} ahead of LEAP", README)
    assert_said(f"own fine-tuned mask ({lead('leap-finetune', '0.8')}) and ELSA", RESULTS)
    assert_said(f"({row('elsa', '0.8')['ppl']:.2f} and {row('leap', '0.8')['ppl']:.2f})", RESULTS)
    assert abs(row("gmp", "0.8")["lead"]) < row("gmp", "0.8")["lead_stderr"]


def test_shipped_bytes_and_seconds_are_those_of_the_table():
    sizes = {name: at["shipped_bytes"] / 1000 for name, at in TABLE.groupby("method")}
    assert sizes["leap"].nunique() == 1
    leap, finetune, elsa = (sizes[name] for name in ("leap", "finetune", "elsa"))
    trained = f"trained weights {finetune.min():.0f} to {elsa.max():.0f} kB"
    assert_said(f"{leap.iloc[0]:.1f} kB, {trained}", README)
    assert_said(f"a mask, {leap.iloc[0]:.1f} kB", RESULTS)
    assert_said(f"{finetune.min():.0f} kB at 0.8 to {finetune.max():.0f} kB at 0.5", RESULTS)
    assert_said(f"{elsa.min():.0f} to {elsa.max():.0f} kB for ELSA", RESULTS)
    seconds = TABLE.groupby("method")["cpu_seconds"].sum()
    assert_said(f"costs {seconds['finetune'] / seconds['leap']:.2f} of LEAP's", RESULTS)


def test_a_quarter_of_the_tokens_on_a_real_model():
    run, whole = ROOT / "results/examples/real", average("leap", "0.6")
    found = {name: evaluation(f"{name}-188-steps", "0.6", run) for name in ("finetune", "leap")}
    assert {of["provenance"]["dtype"] for of in found.values()} == {"bfloat16"}
    scored = {name: average(f"{name}-188-steps", "0.6", run) for name in found}
    pair = compare(*(scores(f"{name}-188-steps", "0.6", run=run) for name in ("leap", "finetune")))
    for name, label in (("finetune", "fine-tuning of Wanda's mask"), ("leap", "LEAP")):
        wiki, c4 = (found[name][text]["value"] for text in ("perplexity", "in_domain"))
        measured = f"{scored[name]:.2f} (perplexity {wiki:.2f} on WikiText-2, {c4:.2f} on C4)"
        assert_said(f"{label} scores {measured}", RESULTS)
    assert_said(f"by {abs(pair.difference):.2f} ± {pair.item_error:.2f} points", RESULTS)
    assert_said(f"LEAP with all tokens scores {whole:.2f}", RESULTS)


def test_elsa_is_destroyed_in_a_quarter_of_the_steps():
    run = ROOT / "results/examples/real/validation/smollm2-135m"
    interval, more = (
        read_json(run / name / "0.6.json") for name in ("elsa-188-steps", "elsa-quarter")
    )
    found = {}
    for of in (interval, more):
        settings = of["recipe"]["checkpoint"]["masks"]["method"]
        found[settings["interval"]] = f"{of['perplexity']['value']:,.0f}"
        moved = sum(
            settings["learning_rate"] * (1 - step / 188) for step in range(settings["steps"])
        )
        assert settings["decay"] == "linear"
        assert_said(f"the sum of the learning rates, {moved:.3f}", RESULTS)
    said = (
        f"validation perplexity {found[7]} with the scale's interval of 7, and {found[2]} with an"
    )
    assert_said(said, RESULTS)


@pytest.mark.parametrize("method", sorted(set(TABLE["method"]) - {"random-mask", "wanda"}))
def test_every_method_has_every_budget(method):
    at = TABLE[TABLE["method"].eq(method)]
    assert len(at) == 16 and at["trials"].between(12, 17).all()


def test_rounding_costs_what_is_said():
    cells = pd.read_csv(ROOT / "results/examples/rounding/main.csv").groupby("method")
    average, flips = cells["average"].mean(), cells["flips"].mean()
    said = f"keep {average['rounding-8']:.2f} % of {average['dense']:.2f} % accuracy and change "
    assert_said(f"{said}{flips['rounding-8']:.1f} % of the answers", "docs/faster.md")
    leap = row("leap", "0.5")["average"]
    assert average["rounding-4"] > leap
    said = (
        f"keeps {average['rounding-4']:.2f} %, still more than LEAP's mask of 50 % ({leap:.2f} %)"
    )
    assert_said(said, "docs/faster.md")
