"""The report in a real browser: no network, no errors, links that lead somewhere, sorting."""

import html
import json
import re
import shutil
import subprocess

import pytest

from suite.report.page import write_page
from suite.tables.against_published import compare
from suite.tables.evaluations import TASKS, read_cells
from suite.tables.headline import ENTRIES
from suite.tables.published import Published
from suite.tables.published_leads import leads

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ACCURACY = {"dense": 0.9, "wanda": 0.5, "admm": 0.7, "leap": 0.65}

# Run in the page, before and after its own script; what they find ends up in the document.
BEFORE = """<script>
window.problems = [];
addEventListener("error", event => problems.push(event.message || "resource"), true);
addEventListener("securitypolicyviolation", event => problems.push(event.blockedURI));
</script>"""
AFTER = """<script>
addEventListener("load", () => {
  const column = (table, index) =>
    [...document.getElementById(table).tBodies[0].rows].map(row => row.cells[index].textContent);
  const press = (table, index) =>
    document.getElementById(table).tHead.rows[0].cells[index].querySelector("button").click();
  const found = {};
  press("results-table", 10); found.down = column("results-table", 1);
  press("results-table", 10); found.up = column("results-table", 1);
  press("results-table", 1); found.names = column("results-table", 1);
  found.board = column("leaderboard-table", 1);
  const shown = () => [...document.getElementById("results-table").tBodies[0].rows]
    .filter(row => row.offsetHeight > 0).map(row => row.cells[1].textContent);
  const choice = document.querySelector("form[data-table=results-table] select[data-column='1']");
  choice.value = "LEAP"; choice.dispatchEvent(new Event("change", {bubbles: true}));
  found.chosen = shown(); found.said = document.querySelector("form.choose output").textContent;
  choice.value = ""; choice.dispatchEvent(new Event("change", {bubbles: true}));
  found.all = shown().length;
  document.querySelector("a.save").addEventListener("click", event => event.preventDefault());
  document.querySelector("a.save").click();
  found.saved = document.querySelector("a.save").href.slice(0, 18);
  document.querySelector("a.save").setAttribute("href", "#results");
  found.frame = getComputedStyle(document.querySelector(".wide")).overflowY;
  found.columns = [...document.getElementById("results-table").tHead.rows[0].cells]
    .filter(cell => cell.offsetWidth > 0).length;
  const link = document.querySelector("#results-table a"), id = link.getAttribute("href").slice(1);
  location.hash = link.getAttribute("href"); dispatchEvent(new Event("hashchange"));
  found.opened = document.getElementById(id).open;
  found.label = document.querySelector(`#${id} summary`).textContent;
  found.linked = link.textContent;
  found.links = [...document.querySelectorAll("a")].map(
    a => a.getAttribute("href")).filter(href => href.startsWith("#")).map(
    href => [href, document.querySelector(href) !== null]);
  found.images = [...document.images].map(image => [image.alt, image.naturalWidth > 0]);
  found.requests = performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:"));
  found.focusable = document.querySelectorAll("th button, a[href], summary").length;
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  found.problems = problems;
  document.body.insertAdjacentHTML("beforeend", "<pre id=found></pre>");
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>"""


def evaluation(folder, method, prefix=""):
    cell = {
        "model": "m<b>", "method": method, "sparsity": "0.0" if method == "dense" else "0.5",
        "seed": 0, "achieved_sparsity": 0.5, "perplexity": {"value": 9.0, "stderr": 0.1},
        "tasks": {t: {"task": prefix + t, "acc": ACCURACY[method], "acc_stderr": 0.01, "samples": 9,
                      "version": "1", "chance": 0.4} for t in TASKS},
        "provenance": {"git_commit": "abc", "note": "</pre><script>problems.push(1)</script>"},
    }  # fmt: skip
    path = folder / f"{method}.json"
    path.write_text(json.dumps(cell))
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    evaluations = [evaluation(folder, method) for method in ACCURACY]
    row = {"model": "m<b>", "sparsity": "0.5", "leap": 65.0, "baseline": "admm",
           "baseline_value": 70.0, "difference": -5.0}  # fmt: skip
    tested = {"standard_error": 2.0, "p_value": 0.012}
    summed = {
        "mean": -5.0,
        "min": -5.0,
        "max": -5.0,
        "cells_std": None,
        "seeds_std": None,
        "cells_better": 0,
    }
    significant = {"cells_significantly_better": 0, "cells_significantly_worse": 1}
    accuracy = {**summed, **tested, **significant, "cells": [{**row, **tested}]}
    headline = {
        "average_accuracy": {**dict.fromkeys(ENTRIES), "leap_minus_best_layer_wise": accuracy},
        "perplexity": {**dict.fromkeys(ENTRIES),
                       "leap_minus_best_layer_wise": {**summed, "cells": [row]}},
    }  # fmt: skip
    (folder / "headline.json").write_text(json.dumps(headline))
    (folder / "quality.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>'
    )
    published = [
        Published("m<b>", "leap", "0.5", 9.2, {}, 64.0, "a test"),
        Published("m<b>", "wanda", "0.5", 12.0, {}, 59.0, "another <test>"),
    ]
    read = read_cells(evaluations)
    write_page(
        "test", "What it says.", evaluations, {}, folder / "headline.json",
        compare(read, published), [(folder / "quality.svg", "Quality & more")],
        {"grid": {"models": ["m<b>"]}}, folder / "report.html", "", leads=leads(read, published),
        tables=[folder / "headline.json"],
    )  # fmt: skip
    return folder / "report.html"


def test_the_page_is_small_whole_and_asks_nobody(page):
    text = page.read_text()
    assert len(text) < 50_000
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "Contradicted" in text
    assert "Not run" in text
    assert "p = 0.012" in text
    assert "reproduced: 2, deviates: 2, not run: 0." in text
    assert "+5.00 points (+5.00 to +5.00, 1 cell); here it is +15.00 over 1 cell" in text
    assert ">a test; another &lt;test&gt;</td>" in text
    assert "m&lt;b&gt;" in text
    # Wanda's 50, where the dense model has 90 and chance is 40
    assert re.search(r'data-sort="(20\.0|19\.99)\d*">20\.00</td>', text)
    assert '<p class="quiet">Recovered: 100 (average - chance) / (dense average' in text
    assert "<h2>Results</h2>" in text and ">PIQA</button>" in text
    assert "<script>problems" not in text


def test_what_the_numbers_are_of_stands_in_titles_and_headings(tmp_path):
    evaluations = [evaluation(tmp_path, method, "mini_") for method in ACCURACY]
    judged = {m: dict.fromkeys(ENTRIES) for m in ("average_accuracy", "perplexity")}
    (tmp_path / "headline.json").write_text(json.dumps(judged))
    write_page(
        "test", "", evaluations, {}, tmp_path / "headline.json", [], [], {},
        tmp_path / "report.html", "Miniature models, generated tasks",
    )  # fmt: skip
    text = (tmp_path / "report.html").read_text()
    note = "Miniature models, generated tasks"
    assert text.startswith("<!doctype html>")
    assert f"<title>LEAP suite, scale test: {note}</title>" in text
    assert f'<p class="note">{note}</p>' in text
    for heading in ("Verdicts", "Results", "Figures"):
        assert f"<h2>{heading}: {note}</h2>" in text
    assert f'aria-label="All results: {note}"' in text
    assert ">mini-PIQA</button>" in text and ">PIQA</button>" not in text


def test_a_page_of_other_settings_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="does not say what settings"):
        write_page(
            "test", "", [evaluation(tmp_path, "wanda")], {}, tmp_path / "headline.json", [], [], {},
            tmp_path / "report.html", "", {"m<b>/wanda/0.5": {}},
        )  # fmt: skip
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 500])
def test_in_a_browser(page, tmp_path, width):
    text = (
        page.read_text().replace("<head>", "<head>" + BEFORE).replace("</body>", AFTER + "</body>")
    )
    (tmp_path / "page.html").write_text(text)
    process = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
         f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom",
         f"file://{tmp_path / 'page.html'}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in process.stderr, process.stderr[-2000:]
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*)</pre>', process.stdout)[1]))
    assert found["problems"] == []
    assert found["requests"] == []
    assert found["up"] == ["Wanda", "LEAP", "ADMM", "Dense"]
    assert found["down"] == ["Dense", "ADMM", "LEAP", "Wanda"]
    assert found["names"] == ["ADMM", "Dense", "LEAP", "Wanda"]
    assert found["board"] == ["ADMM", "LEAP", "Wanda"]
    assert (found["chosen"], found["said"], found["all"]) == (["LEAP"], "1 rows", 4)
    assert found["saved"] == "data:image/svg+xml"
    assert found["frame"] == "auto", "headings stay in sight while a table scrolls"
    assert found["columns"] == (13 if width > 640 else 6)
    assert found["opened"] and f", {found['linked']}, " in found["label"]
    assert len(found["links"]) == 7 + 4 + 1
    assert all(leads for _, leads in found["links"])
    assert found["images"] == [["Quality & more", True]]
    assert found["focusable"] > 20
    assert found["overflow"] <= 0, "tables scroll inside the page, not with it"
