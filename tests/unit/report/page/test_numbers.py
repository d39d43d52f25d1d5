"""Numbers of the page's tables against the frames and files that they come from."""

import base64
import json
import math

import pytest

from leap_suite.plan.methods import method_label
from leap_suite.report.overview import duration
from leap_suite.report.page import masthead
from leap_suite.results.frame import Results
from leap_suite.tables import against_published, published_leads, verdict
from leap_suite.tables.headline import judge
from leap_suite.tables.leaderboard import RANK, leaderboard
from tests.unit.report.page.example import COMMAND, MODELS, NOBODY, TASKS
from tests.unit.results.example import TITLES


def check_row(row, expected):
    """Text of every cell, and the number it sorts by; floats are compared as they are rounded."""
    assert row.keys() == expected.keys()
    for heading, value in expected.items():
        cell, where = row[heading], (heading, value)
        text, key = cell.text_content(), cell.get("data-sort")
        if isinstance(value, str):
            assert text == value, where
            continue
        values = value if isinstance(value, tuple) else (value,)
        for printed, number in zip(text.split(" ± "), values, strict=True):
            assert is_rounded(printed, number), (where, text)
        assert (key is None) if math.isnan(values[0]) else float(key) == pytest.approx(values[0])


def is_rounded(text, value):
    if math.isnan(value):
        return text == "–"
    if "<" in text:
        return value < float(text.removeprefix("< "))
    if "e" in text:
        return text == f"{value:.1e}"
    return abs(float(text) - value) <= 0.5000001 * 10 ** -len(text.partition(".")[2])


def test_every_table_is_checked_here(report):
    verdicts = [f"verdict-{place + 1}" for place in range(0 if report.subject == NOBODY else 3)]
    leads = [] if report.subject == NOBODY else ["leads-table"]
    assert report.page.xpath("//table/@id") == [
        "leaderboard-table", *verdicts, "published-table", *leads, "results-table",
        "provenance-table",
    ]  # fmt: skip


def test_leaderboard(report):
    lines, (dense, *rows) = leaderboard(report.results), report.rows("leaderboard-table")
    # over the methods' places: each model's cell at 0.0 with the two sparsities' weight
    unpruned = report.results.cells.query("method == 'dense'")
    check_row(
        dense,
        {"#": "–", "Method": "Dense", "Accuracy": unpruned["average"].mean(), "Mean rank": "–",
         "Recovered": 100.0, "Perplexity": math.sqrt(unpruned["ppl"].prod()), "Seconds": "–"},
    )  # fmt: skip
    assert not any("best" in cell.get("class", "").split() for cell in dense.values())
    for place, (row, line) in enumerate(zip(rows, lines.itertuples(), strict=True), 1):
        check_row(
            row,
            {"#": place, "Method": method_label(line.method), "Accuracy": line.average,
             "Mean rank": line.rank, "Recovered": line.recovered_share, "Perplexity": line.ppl,
             "Seconds": line.wall_seconds},
        )  # fmt: skip
    for heading, best in (("Accuracy", max), ("Recovered", max), ("Mean rank", min),
                          ("Perplexity", min), ("Seconds", min)):  # fmt: skip
        values = [float(row[heading].get("data-sort")) for row in rows]
        bold = ["best" in row[heading].get("class", "").split() for row in rows]
        assert bold == [value == best(values) for value in values]


def test_mean_rank_is_explained(report):
    assert dict(leaderboard_notes(report)) == {"Mean rank": RANK}
    assert RANK in report.texts("//section[@id='leaderboard']/p")[0]


def leaderboard_notes(report):
    for button in report.page.xpath("//table[@id='leaderboard-table']//th/button[@title]"):
        yield button.text_content(), button.get("title")


def test_the_head_says_how_the_page_was_made(report):
    names, texts = (report.texts(f"//header/dl/div/{part}") for part in ("dt", "dd"))
    cells = report.results.cells
    commits = [commit[:7] for commit in cells["commit"]]
    assert dict(zip(names, texts, strict=True)) == {
        "Written": "2026-05-17",
        "Command": f"{COMMAND}, with the settings below",
        "Machine": f"{cells['device'][0]}; GPU <1>; GPU <2> and {cells['wall_seconds'].count() - 2}"
        " more, Linux",
        "Computed in": "float32",
        "Versions": cells["versions"][0],
        "Pruning and training": f"{duration(cells['wall_seconds'].sum())}, the sum over all jobs",
        "Commit": f"{'; '.join(commits[:3])} and {len(commits) - 3} more",
        "Sources": "Paper, repository",
    }
    assert report.page.xpath("//header/dl//a/@href") == [
        "#settings", "https://arxiv.org/abs/2605.17289", "https://example.org/leap",
    ]  # fmt: skip


def test_facts_that_nobody_recorded_are_left_out(report):
    frame = report.results.frame
    known = frame[frame["measure"] != "wall_seconds"].assign(versions="", commit="unknown")
    found = dict(masthead.facts(Results(known, report.results.items), {}))
    assert found.keys() == {"Machine", "Computed in"}


def test_verdicts(report):
    judged = judge(report.results, report.context)["against"]
    label = method_label(report.subject)
    assert report.texts("//section[@id='verdicts']/h3") == [
        f"{label} against {v['name']}" for v in judged
    ]
    assert bool(judged) == (report.subject != NOBODY)
    for place, found in enumerate(judged, 1):
        accuracy, perplexity = found["accuracy"], found["perplexity"]
        rows = report.rows(f"verdict-{place}")
        for row, a, p in zip(rows, accuracy["cells"], perplexity["cells"], strict=True):
            expected = {
                "Model": a["model"],
                "Sparsity": a["sparsity"],
                "Baseline by accuracy": method_label(a["baseline"]),
                f"Accuracy: {label} (%)": a["value"],
                "Baseline (%)": a["baseline_value"],
                "Difference": (a["difference"], a["standard_error"]),
                "p": a["p_value"],
                f"Perplexity: {label}": p["value"],
                "Perplexity: baseline": p["baseline_value"],
                "Baseline by perplexity": method_label(p["baseline"]),
            }
            check_row(row, expected)
        assert verdict.summary(found) in report.texts("//section[@id='verdicts']/p")


def test_the_head_has_the_first_verdicts(report):
    judged = [v for v in judge(report.results, report.context)["against"] if v["first"]]
    claims = [
        f"{method_label(report.subject)} against {found['name']} "
        f"({verdict.best_baselines(found['accuracy'])}): "
        f"{verdict.claim(found['accuracy']).capitalize()}"
        for found in judged
    ]
    assert report.texts("//header/p[@class='verdict']") == claims
    texts = report.texts("//header/p")
    assert all(verdict.short_summary(v["accuracy"], generated=False) in texts for v in judged)
    assert texts[-1] == f"{len(report.results.cells)} checkpoints. What it says."


def test_results_and_what_their_links_lead_to(report):
    rows = report.rows("results-table")
    for row, cell in zip(rows, report.results.cells.to_dict("records"), strict=True):
        expected = {
            "Method": method_label(cell["method"]),
            "Model": cell["model"],
            "Sparsity": str(cell["sparsity"]),
            "Seed": str(cell["seed"]),
            "Average": (cell["average"], cell["average_stderr"]),
            "Recovered": cell["recovered_share"],
            "Flips": cell["flips"],
            "Perplexity": cell["ppl"],
            **{title: cell[task] for task, title in TASKS.items()},
        }
        check_row(row, expected)
        name = f"{cell['model']}, {expected['Method']}, sparsity {cell['sparsity']}"
        name += f", seed {cell['seed']}" if cell["seed"] else ""
        anchor = row["Method"].xpath("a/@href")[0].removeprefix("#")
        assert report.texts(f"//details[@id='{anchor}']/summary") == [name]
    about = report.texts("//section[@id='results']/p")[0]
    assert "; GSM8K exact_match 5-shot, LAMBADA perplexity)" in about
    assert f"the plain mean of the six tasks that count ({', '.join(TITLES.values())}) ±" in about


def test_provenance(report):
    rows = report.rows("provenance-table")
    for row, cell in zip(rows, report.results.cells.itertuples(), strict=True):
        seed = f"/seed-{cell.seed}" if cell.seed else ""
        files = report.files[f"{cell.model}/{cell.method}/{cell.sparsity}{seed}"]
        seconds = peak = math.nan
        found = json.loads(files.evaluation.read_text())["provenance"]
        device, commit, dirty = found["device"], found["git_commit"], ""
        if files.manifest:
            found = json.loads(files.manifest.read_text())
            device, cost = found["pruning"]["gpu"], found["pruning"]["cost"]
            seconds, peak = cost["wall_time_seconds"], cost["peak_memory_bytes"] / 1e9
            commit, dirty = found["git_commit"], "-dirty"
        check_row(
            row,
            {"Method": method_label(cell.method), "Model": cell.model,
             "Sparsity": str(cell.sparsity), "Seed": str(cell.seed),
             "Achieved": cell.achieved_sparsity, "Seconds": seconds, "Peak GB": peak,
             "Device": device, "Commit": commit[:7] + dirty},
        )  # fmt: skip
        (text,) = report.texts(f"//details[@id='{row['Method'].xpath('a/@href')[0][1:]}']/pre")
        assert f"commit: '{commit}'" in text or commit in text
        assert ("steps: 4" in text) == bool(files.manifest) and "layer_sparsity" not in text


def test_what_can_be_saved_is_main_csv(report):
    data = report.one("//a[@download='main.csv']").get("href").partition("base64,")[2]
    assert base64.b64decode(data) == (report.path.parent / "main.csv").read_bytes()


def test_published_numbers(report):
    compared = against_published.compare(report.results, report.published)
    for row, found in zip(report.rows("published-table"), compared.itertuples(), strict=True):
        check_row(
            row,
            {"Model": found.model, "Sparsity": found.sparsity,
             "Method": method_label(found.method), "Measure": found.measure, "Ours": found.ours,
             "Published": found.published, "Difference": found.difference,
             "Combined s.e.": found.combined_stderr, "Verdict": found.verdict,
             "Source": found.source},
        )  # fmt: skip
    assert set(compared["verdict"]) == {"reproduced", "deviates", "not run", "not published"}
    texts = report.texts("//section[@id='published']/p")
    assert texts[0] == against_published.summary(compared)
    if report.subject == NOBODY:
        assert not any(text.startswith("Over ") for text in texts)
        return
    leads = published_leads.leads(report.results, report.published)
    assert {model for model in leads["model"] if not model.startswith("big-")} == set(MODELS)
    shown = [[cell.text_content() for cell in row.values()] for row in report.rows("leads-table")]
    assert shown == published_leads.texts(leads)
    assert [t for t in texts if t.startswith("Over ")] == published_leads.sentences(leads)
