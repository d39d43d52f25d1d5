"""Every number in the page's tables and verdicts against the file that it comes from.

The page is read as HTML. What is expected is computed here from main.csv, headline.json, manifests
and published CSVs; of the suite only the names of methods are used. The sections of models are held
in test_model_numbers.py.
"""

import base64
import json
import math

import numpy as np
import pandas as pd
import pytest

from suite.plan.methods import method_label
from tests.unit.report.example_grid import (
    CONTROL,
    LACKS,
    LAYER_WISE,
    MODELS,
    RETRAINING,
    SPARSITIES,
)
from tests.unit.report.printed import METHOD_OF, TASK_OF, check_row, check_sentence, is_printed

# whom the page says LEAP is against -> entry of the headline, and the methods that may be the best
AGAINST = {
    "the best layer-wise baseline": ("leap_minus_best_layer_wise", LAYER_WISE),
    "the best of all baselines": ("leap_minus_best_of_all", (*LAYER_WISE, *RETRAINING)),
    "ADMM": ("leap_minus_admm", ("admm",)),
}
FIRST = 2  # of these stand at the head of the page as well
BARS = len(MODELS) * len(SPARSITIES) * (len(TASK_OF) + 1)  # charts of bars


def test_in_no_cell_is_one_baseline_the_best_by_both_measures(grid):
    """What the other tests rely on."""
    for entry in ("leap_minus_best_layer_wise", "leap_minus_best_of_all"):
        by_accuracy, by_perplexity = (
            [cell["baseline"] for cell in grid.headline[measure][entry]["cells"]]
            for measure in ("average_accuracy", "perplexity")
        )
        assert len(by_accuracy) == len(MODELS) * len(SPARSITIES)
        assert all(a != p for a, p in zip(by_accuracy, by_perplexity, strict=True))
    for column in ("average", "ppl"):
        assert grid.main[column].round(2).is_unique, column


def test_every_table_and_chart_is_held_against_something(html):
    tables = [table.attributes.get("id", "map") for table in html.all("table")]
    maps = ["map"] * len(MODELS) * len(SPARSITIES)
    assert sorted(tables) == sorted(
        ["leaderboard-table", "verdict-1", "verdict-2", "verdict-3", "published-table",
         "leads-table", "results-table", *(f"cells-{i}" for i in range(len(MODELS))), *maps]
    )  # fmt: skip
    assert len(html.all("svg")) == BARS + 2 * len(MODELS)


def test_leaderboard(grid, html):
    lines = leaderboard(grid)
    rows = html.one("table", id="leaderboard-table").rows()
    assert [row["Method"].text for row in rows] == [method_label(m) for m in lines.index]
    for place, (row, (method, line)) in enumerate(zip(rows, lines.iterrows(), strict=True), 1):
        expected = {
            "#": float(place),
            "Method": method_label(method),
            "Accuracy": line["average"],
            "Mean rank": line["rank"],
            "Recovered": line["recovered_share"],
            "Perplexity": math.exp(line["log_ppl"]),
            "Seconds": line["seconds"],
        }
        check_row(row, expected)
    lower_is_better = {"Mean rank", "Perplexity", "Seconds"}
    for heading in lower_is_better | {"Accuracy", "Recovered"}:
        values = [float(row[heading].attributes["data-sort"]) for row in rows]
        best = (min if heading in lower_is_better else max)(values)
        bold = ["best" in row[heading].classes for row in rows]
        assert bold == [value == best for value in values], heading


def leaderboard(grid):
    """The lines by pandas, from main.csv and the manifests."""
    frame = grid.main[~grid.main["method"].isin(["dense", CONTROL, LACKS[1]])].copy()
    frame["log_ppl"] = np.log(frame["ppl"])
    frame["seconds"] = [seconds(grid, row) for row in frame.itertuples()]
    places = frame.groupby(["method", "model", "sparsity"]).mean(numeric_only=True)
    places["rank"] = places.groupby(["model", "sparsity"])["average"].rank(ascending=False)
    lines = places.groupby("method").mean()
    lines["seconds"] = frame.groupby("method")["seconds"].mean()  # each job counts the same
    return lines.sort_values("average", ascending=False)


def seconds(grid, row):
    below = f"/seed-{row.seed}" if row.seed else ""
    manifest = grid.manifests[f"{row.model}/{row.method}/{row.sparsity}{below}"]
    return json.loads(manifest.read_text())["pruning"]["cost"]["wall_time_seconds"]


@pytest.mark.parametrize("place", range(len(AGAINST)))
def test_numbers_of_verdicts_are_those_of_the_methods_beside_them(grid, html, place):
    entry, opponents = list(AGAINST.values())[place]
    tested = grid.headline["average_accuracy"][entry]["cells"]
    rows = html.one("table", id=f"verdict-{place + 1}").rows()
    for row, cell in zip(rows, tested, strict=True):
        measured = grid.means.loc[row["Model"].text, row["Sparsity"].text]
        allowed = measured[measured.index.isin(opponents)]
        by_accuracy = METHOD_OF[row["Baseline by accuracy"].text]
        by_perplexity = METHOD_OF[row["Baseline by perplexity"].text]
        assert by_accuracy == allowed["average"].idxmax()
        assert by_perplexity == allowed["ppl"].idxmin()
        difference = measured.loc["leap", "average"] - measured.loc[by_accuracy, "average"]
        assert difference == pytest.approx(cell["difference"])
        expected = {
            "Model": cell["model"],
            "Sparsity": cell["sparsity"],
            "Baseline by accuracy": method_label(by_accuracy),
            "Accuracy: LEAP (%)": measured.loc["leap", "average"],
            "Baseline (%)": measured.loc[by_accuracy, "average"],
            "Difference": (difference, cell["standard_error"]),
            "p": two_sided(difference, cell["standard_error"]),
            "Baseline by perplexity": method_label(by_perplexity),
            "Perplexity: LEAP": measured.loc["leap", "ppl"],
            "Perplexity: baseline": measured.loc[by_perplexity, "ppl"],
        }
        check_row(row, expected)


def two_sided(difference, error):
    return math.erfc(abs(difference) / error / math.sqrt(2))


@pytest.mark.parametrize("place", range(len(AGAINST)))
def test_sentences_of_verdicts(grid, html, place):
    name, (entry, opponents) = list(AGAINST.items())[place]
    section, head = html.one("section", id="verdicts"), html.one("header")
    tested = grid.headline["average_accuracy"][entry]
    differences, lower = compared(grid, opponents)
    mean, error, cells = differences.mean(), tested["standard_error"], len(differences)
    p_value = max(0.001, two_sided(mean, error))  # at least what is printed as "< 0.001"
    better = (differences > 0).sum()
    significant = [c["difference"] > 0 for c in tested["cells"] if c["p_value"] < 0.05]
    assert section.all("h3")[place].text == f"LEAP against {name}"
    claims = section.all("p", class_="verdict")
    (details,) = [p for p in section.all("p") if f"accuracy {mean:+.2f} points" in p.text]
    check_sentence(
        details.text, mean, error, p_value, cells, differences.std(), differences.min(),
        differences.max(), tested["seeds_std"], better, cells, sum(significant),
        len(significant) - sum(significant), lower, cells,
    )  # fmt: skip
    claim = "Not shown" if p_value >= 0.05 else "Holds" if mean > 0 else "Contradicted"
    assert claims[place].text.startswith(claim)
    first = head.all("p", class_="verdict")
    assert len(first) == FIRST
    if place < FIRST:
        assert first[place].text.startswith(f"LEAP against {name} (")
        assert first[place].text.endswith(f"): {claims[place].text}")
        (found,) = [p for p in head.all("p") if f" {mean:+.2f} ±" in p.text]
        check_sentence(found.text, mean, error, p_value, better, cells)


def compared(grid, opponents):
    """LEAP's accuracy minus the best one's by place, and in how many its perplexity is lower."""
    allowed = grid.means[grid.means.index.isin(opponents, level="method")]
    best = allowed.groupby(["model", "sparsity"]).agg({"average": "max", "ppl": "min"})
    ours = grid.means.xs("leap", level="method")
    return ours["average"] - best["average"], (ours["ppl"] < best["ppl"]).sum()


def test_the_head_says_which_baselines_are_the_best_and_how_often(html):
    for place, line in enumerate(html.one("header").all("p", class_="verdict"), 1):
        rows = html.one("table", id=f"verdict-{place}").rows()
        methods = [row["Baseline by accuracy"].text for row in rows]
        text, _, cells = line.text.partition("(")[2].partition(")")[0].partition(" of ")
        assert cells == f"{len(rows)} cells"
        assert sorted(text.split(", ")) == sorted(
            f"{method} in {methods.count(method)}" for method in set(methods)
        )


def test_results_and_what_their_links_lead_to(grid, html):
    main = grid.main.set_index(["model", "method", "sparsity", "seed"])
    found = []
    for row in html.one("table", id="results-table").rows():
        model, label, sparsity, seed = (
            row[heading].text for heading in ("Model", "Method", "Sparsity", "Seed")
        )
        place = (model, METHOD_OF[label], sparsity, int(seed))
        result = main.loc[place]
        expected = {
            "Model": model,
            "Method": method_label(place[1]),
            "Sparsity": sparsity,
            "Seed": seed,
            **{heading: result[task] for heading, task in TASK_OF.items()},
            "Average": (result["average"], result["average_stderr"]),
            "Recovered": result["recovered_share"],
            "Perplexity": result["ppl"],
        }
        check_row(row, expected)
        anchor = row["Method"].one("a").attributes["href"].removeprefix("#")
        label += f", sparsity {sparsity}" + (f", seed {seed}" if seed != "0" else "")
        assert html.one("details", id=anchor).all("summary")[0].text == f"{model}, {label}"
        found.append(place)
    assert sorted(found) == sorted(main.index)
    head = html.one("header").one("p", class_="quiet").text
    assert head == f"{len(main)} checkpoints. What it says."


def test_what_can_be_saved_is_main_csv(grid, html):
    link = html.one("a", download="main.csv").attributes["href"]
    assert base64.b64decode(link.partition("base64,")[2]) == (grid.folder / "main.csv").read_bytes()


def published(grid):
    """The published numbers: a row a place, measure and source."""
    frame = pd.concat(pd.read_csv(path, dtype={"sparsity": str}) for path in grid.published)
    measures = [*TASK_OF.values(), "average", "ppl"]
    long = frame.melt(["model", "sparsity", "method", "source"], measures, "measure")
    return long.dropna(subset="value")


def test_published_numbers(grid, html):
    places = ["model", "sparsity", "method", "measure", "source"]
    known = published(grid).set_index(places)["value"].to_dict()
    verdicts = []
    for row in html.one("table", id="published-table").rows():
        model, sparsity, label, measure, source = (
            row[h].text for h in ("Model", "Sparsity", "Method", "Measure", "Source")
        )
        place = (model, sparsity, METHOD_OF[label])
        theirs = known.pop((*place, measure, source), math.nan)
        ours, error = grid.means.loc[place, [measure, f"{measure}_stderr"]]
        difference, combined = ours - theirs, math.sqrt(2) * error
        margin = 0.05 * theirs if measure == "ppl" else 2 * combined
        if math.isnan(theirs):
            verdicts.append("not published")
            assert source == "" and not any(of[:4] == (*place, measure) for of in known)
        else:
            verdicts.append("reproduced" if abs(difference) <= margin else "deviates")
        expected = {
            "Model": model,
            "Sparsity": sparsity,
            "Method": method_label(place[2]),
            "Measure": measure,
            "Ours": ours,
            "Published": theirs,
            "Difference": difference,
            "Combined s.e.": combined,
            "Verdict": verdicts[-1],
            "Source": source,
        }
        check_row(row, expected)
    assert known == {}, "all that was published is on the page"
    counts = {verdict: verdicts.count(verdict) for verdict in ("reproduced", "deviates")}
    assert min(counts.values()) > 5
    summary = html.one("section", id="published").all("p")[0].text
    assert summary == "reproduced: {reproduced}, deviates: {deviates}, not run: 0.".format(**counts)


def test_published_leads(grid, html):
    averages = published(grid).query("measure == 'average' and method != 'dense'")
    best = averages.sort_values("value").groupby(["model", "sparsity", "method"]).last()
    methods = {"the best published baseline": ["wanda", "admm"], "ADMM": ["admm"]}
    leads = {over: {} for over in methods}
    for row in html.one("table", id="leads-table").rows():
        over, place = row["Over"].text, (row["Model"].text, row["Sparsity"].text)
        theirs, ours = best.loc[place], grid.means.loc[place]["average"]
        of_theirs, of_ours = theirs.loc[methods[over], "value"], ours.loc[methods[over]]
        published_lead = theirs.loc["leap", "value"] - of_theirs.max()
        lead = ours.loc["leap"] - of_ours.max()
        sources = [theirs.loc[method, "source"] for method in ("leap", of_theirs.idxmax())]
        texts = {
            "Over": over,
            "Model": place[0],
            "Sparsity": place[1],
            "Baseline": method_label(of_theirs.idxmax()),
            "Our baseline": method_label(of_ours.idxmax()),
            "Source": "; ".join(dict.fromkeys(sources)),
        }
        assert {heading: row[heading].text for heading in texts} == texts
        assert row.keys() - texts.keys() == {"Published", "Ours"}
        assert is_printed(row["Published"].text, published_lead)
        assert is_printed(row["Ours"].text, lead)
        leads[over][place] = (published_lead, lead)
    sentences = [
        p.text for p in html.one("section", id="published").all("p") if p.text.startswith("Over ")
    ]
    for sentence, (over, found) in zip(sentences, leads.items(), strict=True):
        assert found.keys() == set(best.index.droplevel("method")), over
        theirs, ours = np.array(list(found.values())).T
        assert sentence.startswith(f"Over {over}, LEAP's published mean lead is ")
        check_sentence(
            sentence, theirs.mean(), theirs.min(), theirs.max(), len(found),
            ours.mean(), len(found), theirs.mean(),
        )  # fmt: skip
