"""Every number in the page's tables and verdicts against the file that it comes from.

The page is read as HTML. What is expected is computed here from evaluations, manifests and
published CSVs; of the suite only the names of methods and the errors of verdicts are used. The
sections of models are held in test_model_numbers.py. All hold whichever method is the subject.
"""

import base64
import math
import operator

import numpy as np
import pandas as pd
import pytest

from suite.plan.methods import method_label
from tests.unit.report.example_grid import CONTROL, LACKS, MODELS, SPARSITIES, TASKS, TITLES
from tests.unit.report.printed import METHOD_OF, check_row, check_sentence, is_printed

FIRST = 2  # of the verdicts stand at the head of the page as well
BARS = len(MODELS) * len(SPARSITIES) * (len(TITLES) + 2)  # charts: shares, and their average


def test_there_are_the_verdicts_and_best_baselines_differ_by_measure(grid):
    """What the other tests rely on."""
    assert [verdict["name"] for verdict in grid.headline] == list(grid.against)
    differ = []
    for verdict, opponents in zip(grid.headline, grid.against.values(), strict=True):
        by_accuracy, by_perplexity = (
            [cell["baseline"] for cell in verdict[measure]["cells"]]
            for measure in ("accuracy", "perplexity")
        )
        assert len(by_accuracy) == len(MODELS) * len(SPARSITIES)
        assert {*by_accuracy, *by_perplexity} <= set(opponents)
        differ.append(sum(map(operator.ne, by_accuracy, by_perplexity)))
    assert max(differ, default=2) >= 2
    for column in ("average", "ppl", "lambada"):
        assert grid.main[column].round(2).is_unique, column


def test_every_table_and_chart_is_held_against_something(grid, html):
    tables = [table.attributes.get("id", "map") for table in html.all("table")]
    maps = ["map"] * (len(MODELS) * len(SPARSITIES) if grid.against else 0)
    verdicts = [f"verdict-{place + 1}" for place in range(len(grid.against))]
    leads = ["leads-table"] if grid.against else []
    assert sorted(tables) == sorted(
        ["leaderboard-table", *verdicts, "published-table", "results-table", *leads,
         *(f"cells-{i}" for i in range(len(MODELS))), *maps]
    )  # fmt: skip
    curves = 2 * len(MODELS) if grid.subject == "leap" else 0
    assert len(html.all("svg")) == BARS + curves


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
    """The lines by pandas."""
    frame = grid.main[~grid.main["method"].isin(["dense", CONTROL, LACKS[1]])]
    frame = frame.assign(log_ppl=np.log(frame["ppl"]))
    places = frame.groupby(["method", "model", "sparsity"]).mean(numeric_only=True)
    places["rank"] = places.groupby(["model", "sparsity"])["average"].rank(ascending=False)
    return places.groupby("method").mean().sort_values("average", ascending=False)


def test_numbers_of_verdicts_are_those_of_the_methods_beside_them(grid, html):
    rows = [
        (row, cell, grid.against[verdict["name"]])
        for place, verdict in enumerate(grid.headline, 1)
        for row, cell in zip(
            html.one("table", id=f"verdict-{place}").rows(),
            verdict["accuracy"]["cells"],
            strict=True,
        )
    ]
    for row, cell, opponents in rows:
        measured = grid.means.loc[row["Model"].text, row["Sparsity"].text]
        allowed = measured[measured.index.isin(opponents)]
        by_accuracy = METHOD_OF[row["Baseline by accuracy"].text]
        by_perplexity = METHOD_OF[row["Baseline by perplexity"].text]
        assert by_accuracy == allowed["average"].idxmax()
        assert by_perplexity == allowed["ppl"].idxmin()
        difference = measured.loc[grid.subject, "average"] - measured.loc[by_accuracy, "average"]
        assert difference == pytest.approx(cell["difference"])
        expected = {
            "Model": cell["model"],
            "Sparsity": cell["sparsity"],
            "Baseline by accuracy": method_label(by_accuracy),
            f"Accuracy: {grid.label} (%)": measured.loc[grid.subject, "average"],
            "Baseline (%)": measured.loc[by_accuracy, "average"],
            "Difference": (difference, cell["standard_error"]),
            "p": two_sided(difference, cell["standard_error"]),
            "Baseline by perplexity": method_label(by_perplexity),
            f"Perplexity: {grid.label}": measured.loc[grid.subject, "ppl"],
            "Perplexity: baseline": measured.loc[by_perplexity, "ppl"],
        }
        check_row(row, expected)


def two_sided(difference, error):
    return math.erfc(abs(difference) / error / math.sqrt(2))


def test_sentences_of_verdicts(grid, html):
    section, head = html.one("section", id="verdicts"), html.one("header")
    claims, first = (part.all("p", class_="verdict") for part in (section, head))
    assert (len(claims), len(first)) == (len(grid.against), min(FIRST, len(grid.against)))
    for place, (name, opponents) in enumerate(grid.against.items()):
        tested = grid.headline[place]["accuracy"]
        differences, lower = compared(grid, opponents)
        mean, error, cells = differences.mean(), tested["standard_error"], len(differences)
        p_value = max(0.001, two_sided(mean, error))  # at least what is printed as "< 0.001"
        better = (differences > 0).sum()
        significant = [c["difference"] > 0 for c in tested["cells"] if c["p_value"] < 0.05]
        between_seeds = [tested["seeds_std"]] if tested["seeds_std"] is not None else []
        assert section.all("h3")[place].text == f"{grid.label} against {name}"
        (details,) = [p for p in section.all("p") if f"accuracy {mean:+.2f} points" in p.text]
        check_sentence(
            details.text, mean, error, p_value, cells, differences.std(), differences.min(),
            differences.max(), *between_seeds, better, cells, sum(significant),
            len(significant) - sum(significant), lower, cells,
        )  # fmt: skip
        claim = "Not shown" if p_value >= 0.05 else "Holds" if mean > 0 else "Contradicted"
        assert claims[place].text.startswith(claim)
        if place < FIRST:
            assert first[place].text.startswith(f"{grid.label} against {name} (")
            assert first[place].text.endswith(f"): {claims[place].text}")
            (found,) = [p for p in head.all("p") if f" {mean:+.2f} ±" in p.text]
            check_sentence(found.text, mean, error, p_value, better, cells)


def compared(grid, opponents):
    """Its accuracy minus the best one's by place, and in how many its perplexity is lower."""
    allowed = grid.means[grid.means.index.isin(opponents, level="method")]
    best = allowed.groupby(["model", "sparsity"]).agg({"average": "max", "ppl": "min"})
    ours = grid.means.xs(grid.subject, level="method")
    return ours["average"] - best["average"], (ours["ppl"] < best["ppl"]).sum()


def test_methods_are_named_only_where_they_are_involved(grid, html):
    """LEAP too, which is the subject where no other is named, in the grid or not."""
    parts = {part.attributes["id"]: part for part in html.all("section")}
    head = html.one("header").text.replace("LEAP suite", "")
    # an opponent of the two others
    assert ("LEAP" in head) == (grid.subject != "not in the grid")
    if not grid.against:
        assert {name for name, part in parts.items() if "LEAP" in part.text} == {
            "verdicts", "published",
        }  # fmt: skip
        (why,) = parts["verdicts"].all("p")
        assert why.text == "No verdict: the grid has no cell with LEAP and an opponent."
    assert any("In colour" in p.text for p in parts["models"].all("p")) == bool(grid.against)
    headings = {heading.text for heading in html.all("h4")}
    assert (f"Where {grid.label} keeps weights" in headings) == bool(grid.against)
    assert ("Training of LEAP" in headings) == (grid.subject == "leap")


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
            **{TASKS[task]: result[task] for task in TASKS},
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
    about = html.one("section", id="results").all("p")[0].text
    assert "; GSM8K exact_match 5-shot, LAMBADA perplexity)" in about
    assert f"the plain mean of the six tasks that count ({', '.join(TITLES.values())}) ±" in about


def test_what_can_be_saved_is_main_csv(grid, html):
    link = html.one("a", download="main.csv").attributes["href"]
    assert base64.b64decode(link.partition("base64,")[2]) == (grid.folder / "main.csv").read_bytes()


def published(grid):
    """The published numbers: a row a place, measure and source."""
    frame = pd.concat(pd.read_csv(path, dtype={"sparsity": str}) for path in grid.published)
    measures = [*TITLES, "average", "ppl"]
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
        is_run = place in grid.means.index
        numbers = grid.means.loc[place] if is_run else dict.fromkeys(grid.means, math.nan)
        ours, error = (numbers[name] for name in (measure, f"{measure}_stderr"))
        difference, combined = ours - theirs, math.sqrt(2) * error
        margin = 0.05 * theirs if measure == "ppl" else 2 * combined
        if math.isnan(theirs):
            verdicts.append("not published")
            assert source == "" and not any(of[:4] == (*place, measure) for of in known)
        elif not is_run:
            verdicts.append("not run")
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
    counts = {v: verdicts.count(v) for v in ("reproduced", "deviates", "not run")}
    assert min(counts["reproduced"], counts["deviates"]) > 5
    assert (counts["not run"] > 5) == (not grid.against)
    summary = html.one("section", id="published").all("p")[0].text
    assert summary == ", ".join(f"{verdict}: {count}" for verdict, count in counts.items()) + "."


def test_published_leads(grid, html):
    """Of LEAP, whichever method is the subject, where it was run."""
    if not grid.against:
        assert "leads" not in html.one("section", id="published").text
        return
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
