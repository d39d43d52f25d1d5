"""The report in a real browser: no network, no errors, links that lead somewhere, sorting."""

import re
from dataclasses import replace

import pytest

from suite.report.page.write import Beside, write_page
from tests.unit.report.browser import FRAME, found_in, needs_chromium
from tests.unit.report.example_page import TOLD, collected_example, example, manifests

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
  press("results-table", 4); found.down = column("results-table", 1);
  press("results-table", 4); found.up = column("results-table", 1);
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
  found.opened = document.getElementById(id).open && document.getElementById(id).offsetHeight > 0;
  const told = document.getElementById("tip"), tip = () => told.hidden ? "" : told.textContent;
  const marks = [...document.querySelectorAll(".panels svg")[1].querySelectorAll(".mark")];
  const over = (target, type) => target.dispatchEvent(new PointerEvent(type, {bubbles: true}));
  const push = key => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true}));
  found.quiet = tip();
  over(marks[2], "pointerover"); found.pointed = tip();
  found.inside = told.getBoundingClientRect().right <= innerWidth;
  over(document.body, "pointerover"); found.left = tip();
  found.stops = marks.map(mark => mark.getAttribute("tabindex"));
  marks[0].focus(); found.focused = tip();
  push("ArrowRight"); found.next = tip(); push("End"); push("ArrowDown"); found.last = tip();
  push("Escape"); found.escaped = tip();
  over(document.querySelector(".map .mark"), "pointerover"); found.shade = tip();
  over(document.querySelector("circle"), "pointerover"); found.point = tip();
  found.named = [...document.querySelectorAll("g.mark")].every(
    mark => mark.getAttribute("aria-label"));
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


def test_the_page_is_small_whole_and_asks_nobody(page):
    text = page.read_text()
    assert len(text) < 60_000
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert not re.search(r"https?://|url\(|@import|srcset", text)
    assert "Contradicted" in text
    (first,) = re.findall(r'<p class="verdict">(.*)</p>', text)
    assert first == (
        "LEAP against the best layer-wise baseline (ADMM in 1 of 1 cells): "
        '<span class="contradicted">Contradicted</span>'
    )
    assert "<p>Accuracy -5.00 ± 0.63 points, p &lt; 0.001, better in 0 of 1 cells.</p>" in text
    assert "reproduced: 2, deviates: 2, not run: 0." in text
    assert "+5.00 points (+5.00 to +5.00, 1 cell); here it is +15.00 over 1 cell" in text
    assert ">a test; another &lt;test&gt;</td>" in text
    assert "m&lt;b&gt;" in text
    # Wanda's 50, where the dense model has 90 and chance is 40
    assert re.search(r'data-sort="(20\.0|19\.99)\d*">20\.00</td>', text)
    assert '<p class="quiet">Recovered: 100 (average - chance) / (dense average' in text
    assert "<h2>Results</h2>" in text and ">PIQA</button>" in text
    assert "<script>problems" not in text


def written(folder, files, **told):
    """The text of a page of these cells."""
    beside = Beside(manifests(files), [], {})
    output = folder / "report.html"
    write_page(collected_example(files), replace(TOLD, **told), beside, output)
    return output.read_text()


def test_what_the_numbers_are_of_stands_in_titles_and_headings(tmp_path):
    note = "Miniature models, generated tasks"
    # which have no published numbers, though models may be called as published ones
    text = written(tmp_path, example(tmp_path, prefix="mini_"), note=note, published=True)
    assert text.startswith("<!doctype html>")
    assert f"<title>LEAP suite, scale test: {note}</title>" in text
    assert f'<p class="note">{note}</p>' in text
    for heading in ("Verdicts", "Results", "Figures"):
        assert f"<h2>{heading}: {note}</h2>" in text
    assert f'aria-label="All results: {note}"' in text
    assert ">mini-PIQA</button>" in text and ">PIQA</button>" not in text
    assert "<p>Mini-task accuracy -5.00 ± 0.63 points, " in text
    assert "published" not in text.lower()


def test_that_results_mix_stands_at_the_head(tmp_path):
    line = "Mixed: 3 cells evaluated in float32, 1 in bfloat16."
    for name, dtypes in (("alike", {}), ("mixed", {"wanda": "bfloat16"})):
        header = written(tmp_path, example(tmp_path / name, **dtypes)).partition("</header>")[0]
        assert header.count('class="note"') == header.count(f">{line}</p>") == bool(dtypes)


@needs_chromium
@pytest.mark.parametrize("width", [1200, 500])
def test_in_a_browser(page, tmp_path, width):
    text = (
        page.read_text().replace("<head>", "<head>" + BEFORE).replace("</body>", AFTER + "</body>")
    )
    (tmp_path / "page.html").write_text(text)
    found = found_in(tmp_path / "page.html", width)
    assert found["problems"] == []
    assert found["requests"] == []
    assert found["up"] == ["Wanda", "LEAP", "ADMM", "Dense"]
    assert found["down"] == ["Dense", "ADMM", "LEAP", "Wanda"]
    assert found["names"] == ["ADMM", "Dense", "LEAP", "Wanda"]
    assert found["board"] == ["ADMM", "LEAP", "Wanda"]
    assert (found["chosen"], found["said"], found["all"]) == (["LEAP"], "1 rows", 4)
    assert found["saved"] == "data:image/svg+xml"
    assert found["frame"] == "auto", "headings stay in sight while a table scrolls"
    assert found["columns"] == (13 if width > 640 else 5)
    assert found["opened"] and f", {found['linked']}, " in found["label"]
    assert len(found["links"]) == 7 + 4 + 4 + 1
    assert all(leads for _, leads in found["links"])
    assert found["images"] == [["Quality & more", True]]
    assert found["focusable"] > 20
    assert found["overflow"] <= 0, "tables scroll inside the page, not with it"
    assert (found["quiet"], found["left"], found["escaped"]) == ("", "", "")
    of_piqa = "{}, PIQA at 0.5: {} ± 1.00 %, dense 90.00 %"
    assert found["pointed"] == of_piqa.format("LEAP", "65.00")
    assert found["inside"]
    assert found["focused"] == of_piqa.format("Wanda", "50.00")
    assert found["next"] == of_piqa.format("ADMM", "70.00")
    assert found["last"] == of_piqa.format("LEAP", "65.00")
    assert found["stops"] == ["0", "-1", "-1"], "a chart is one stop of the tabulator"
    assert found["shade"] == "Block 0, q: 60.00 % kept, +10.00 points"
    assert found["point"] == "Sparsity 0.5, step 0: 4.00"
    assert found["named"]


# Of a page with all of it unfolded: what stands out of its place, and where.
FITS = """<script>
addEventListener("load", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  const found = [...document.querySelectorAll(".wide")]
    .filter(box => box.scrollWidth > box.clientWidth).map(box => box.getAttribute("aria-label"));
  for (const cell of document.querySelectorAll("td, th"))
    if (cell.scrollWidth > cell.clientWidth + 1) found.push(cell.textContent);
  for (const chart of document.querySelectorAll(".panels svg")) {
    const frame = chart.getBoundingClientRect();
    for (const part of chart.querySelectorAll("text, rect")) {
      const own = part.getBoundingClientRect();
      if (own.left < frame.left - 1 || own.right > frame.right + 1) found.push(part.outerHTML);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page itself");
  parent.postMessage(JSON.stringify({width: innerWidth, found}), "*");
});
</script></body>"""


@needs_chromium
@pytest.mark.parametrize("grid", ["leap"], indirect=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_tables_and_bars_of_many_tasks_are_where_there_is_room(grid, tmp_path, width):
    """But for the published numbers on a phone, which may have to be swiped."""
    (tmp_path / "page.html").write_text(grid.page.read_text().replace("</body>", FITS))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    seen = found_in(tmp_path / "frame.html", width + 50, "--hide-scrollbars")
    assert seen["width"] == width
    assert set(seen["found"]) <= ({"Published numbers"} if width == 390 else set())
