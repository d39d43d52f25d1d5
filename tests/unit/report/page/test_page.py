"""The page as text and in a real browser: no network, no errors, links, sorting, filters, fit."""

import re

import pytest

from tests.unit.report.browser import FRAME, found_in, needs_chromium
from tests.unit.report.page.example import write_cells, write_report

# Run in the page before and after its own script; AFTER posts what it finds.
BEFORE = """<head><script>
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
  press("leaderboard-table", 2); found.best = column("leaderboard-table", 1);
  press("leaderboard-table", 2); found.worst = column("leaderboard-table", 1);
  press("leaderboard-table", 5); found.perplexity = column("leaderboard-table", 1);
  press("leaderboard-table", 1); found.names = column("leaderboard-table", 1);
  const shown = () => [...document.getElementById("results-table").tBodies[0].rows]
    .filter(row => row.offsetHeight > 0).map(row => row.cells[0].textContent);
  const choices = [...document.querySelectorAll("form[data-table=results-table] select")];
  const choose = (choice, value) => {
    choice.value = value; choice.dispatchEvent(new Event("change", {bubbles: true}));
  };
  found.asked = [choices.map(choice => choice.value), shown().length];
  choose(choices[0], "LEAP"); choose(choices[1], "m<b>"); choose(choices[2], "");
  found.address = location.search; found.chosen = shown();
  found.said = document.querySelector("form.choose output").textContent;
  choose(choices[0], ""); choose(choices[1], "");
  found.all = shown().length;
  const save = document.querySelector("a.save");
  save.addEventListener("click", event => event.preventDefault());
  save.click(); found.saved = save.href.slice(0, 18); save.setAttribute("href", "#results");
  found.frame = getComputedStyle(document.querySelector(".wide")).overflowY;
  const link = document.querySelector("#results-table a"), id = link.getAttribute("href").slice(1);
  location.hash = link.getAttribute("href"); dispatchEvent(new Event("hashchange"));
  found.opened = document.getElementById(id).open && document.getElementById(id).offsetHeight > 0;
  found.links = [...document.querySelectorAll("a")].map(a => a.getAttribute("href"))
    .filter(href => href.startsWith("#") && document.querySelector(href) === null);
  found.images = [...document.images].map(image => [image.alt, image.naturalWidth > 0]);
  found.requests = performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:"));
  for (const part of document.querySelectorAll("details")) part.open = true;
  found.wide = [...document.querySelectorAll(".wide")]
    .filter(box => box.scrollWidth > box.clientWidth).map(box => box.getAttribute("aria-label"));
  found.signs = [...document.querySelectorAll(".more-right > .wide")]
    .map(box => box.getAttribute("aria-label"));
  for (const box of document.querySelectorAll(".wide")) {
    box.scrollLeft = 1e6; box.dispatchEvent(new Event("scroll"));
  }
  found.left = document.querySelectorAll(".more-right").length;
  found.cut = [...document.querySelectorAll("td, th")]
    .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent);
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  const cell = document.querySelector("#results-table td:nth-child(2)");
  const height = cell.offsetHeight;
  cell.textContent = "a-model-of-many-words-and-a-number-2.5";
  found.lines = cell.offsetHeight / height;
  const image = document.images[0];
  found.filter = getComputedStyle(image).filter;
  found.share = image.clientWidth / document.querySelector("main").clientWidth;
  const banner = document.querySelector(".banner");
  scrollTo(0, 1e6);
  found.banner = banner && [banner.getBoundingClientRect().top, banner.textContent];
  found.width = innerWidth; found.problems = problems;
  parent.postMessage(JSON.stringify(found), "*");
});
</script></body>"""


def found_on(report, folder, width, *options, query=""):
    text = report.path.read_text().replace("<head>", BEFORE).replace("</body>", AFTER)
    (folder / "page.html").write_text(text)
    frame = FRAME.format(width=width).replace("page.html", f"page.html{query}")
    (folder / "frame.html").write_text(frame)
    return found_in(folder / "frame.html", width + 50, "--hide-scrollbars", *options)


@needs_chromium
@pytest.mark.parametrize("report", ["leap"], indirect=True)
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(report, tmp_path, width):
    found = found_on(report, tmp_path, width)
    assert (found["width"], found["problems"], found["requests"]) == (width, [], [])
    assert found["best"] == ["Dense", "ELSA", "LEAP", "ADMM", "Wanda", "Magnitude"]
    assert found["worst"] == found["best"][::-1]
    assert found["perplexity"] == ["Dense", "ELSA", "LEAP", "Wanda", "ADMM", "Magnitude"]
    assert found["names"] == sorted(found["best"])
    assert (found["chosen"], found["said"]) == (["LEAP"] * 3, "3 rows")
    assert found["all"] == len(report.results.cells)
    assert found["address"] == "?results-table-method=LEAP&results-table-model=m%3Cb%3E"
    assert found["asked"] == [["", "", ""], found["all"]]
    assert found["lines"] == 1, "names stay on one line"
    assert found["share"] == 1, "a page-wide figure fills the page"
    assert found["saved"] == "data:image/svg+xml"
    assert found["frame"] == "auto", "headings stay in sight while a table scrolls"
    assert found["opened"] and found["links"] == []
    assert found["images"] == [["Quality & more", True]]
    assert found["overflow"] <= 0 and found["cut"] == []
    assert found["signs"] == found["wide"] and found["left"] == 0
    swiped = {"All results", "Published numbers", "Provenance of all results"}
    assert set(found["wide"]) <= (swiped if width == 390 else set()), "other tables fit"


@needs_chromium
@pytest.mark.parametrize("report", ["wanda"], indirect=True)
@pytest.mark.parametrize("dark", [False, True])
def test_an_address_a_banner_and_figures_in_light_and_dark(report, tmp_path, dark):
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    query = "?results-table-method=LEAP&results-table-sparsity=0.6&results-table-model=gone#results"
    found = found_on(report, tmp_path, 390, scheme, query=query)
    assert found["asked"] == [["LEAP", "", "0.6"], 2], "what the page does not have is ignored"
    assert found["banner"] == [0, report.context.note], "it stays in sight"
    assert found["filter"] == ("invert(0.9) hue-rotate(180deg)" if dark else "none")


def test_the_page_is_small_whole_and_asks_nobody(report):
    text = report.path.read_text()
    assert len(text) < 180_000
    text = re.sub(r'<a href="https://[^"]*">(Paper|repository)</a>', "", text)
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert not re.search(r"https?://|url\(|@import|srcset", text)
    assert "m&lt;b&gt;" in text and "m<b>" not in text and "<script>problems" not in text
    ids = report.page.xpath("//@id")
    assert len(set(ids)) == len(ids)


def test_generated_tasks_are_named_in_title_and_banner_and_mixed_results_in_the_head(tmp_path):
    note = "Miniature models, generated tasks"
    # which have no published numbers, though models may be called as published ones
    files = write_cells(tmp_path / "cells", "mini_", wanda="bfloat16")
    report = write_report(files, "leap", tmp_path, {"note": note, "published": True})
    assert report.texts("//title") == [f"LEAP suite, scale test: {note}"]
    mixed = "Mixed: 23 cells evaluated in float32, 4 in bfloat16."
    assert report.texts("//header/p[@class='note']") == [mixed]
    assert report.texts("//aside") == [note]
    assert report.path.read_text().count(note) == 2
    assert report.texts("//figcaption")[0].startswith("Quality & more")
    assert {"mini-PIQA", "mini-ARC-E"} <= report.rows("results-table")[0].keys()
    assert "Mini-task accuracy" in report.texts("//header/p")[1]
    assert "published" not in report.path.read_text().lower()
