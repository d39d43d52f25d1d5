"""Figures: every method appears, is told apart without colour, and the bytes are repeatable."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from suite.figures.quality import quality
from suite.figures.style import Look, method_looks
from suite.figures.sweep import sweep

HEADER = "model,method,sparsity,seed,ppl,average,average_stderr"
METHODS = ["magnitude", "wanda", "sparsegpt", "thanos", "admm", "leap", "new_$method"]
NAMES = ["Magnitude", "Wanda", "SparseGPT", "Thanos", "ADMM", "LEAP", "new_$method", "Dense"]


def main_csv(
    folder: Path, models: list[str], methods: list[str], sparsities: list[str], dense: bool = True
) -> Path:
    rows = [HEADER]
    for shift, model in enumerate(models):
        rows += [f"{model},dense,0.0,0,8.5,{60 + shift},0.6"] if dense else []
        for sparsity in sparsities:
            for rank, method in enumerate(methods):
                loss = (10 - rank) * float(sparsity)
                rows.append(f"{model},{method},{sparsity},0,{9 + loss},{60 + shift - loss},0.6")
    path = folder / "main.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def outputs(folder: Path) -> list[Path]:
    return [folder / f"figure.{suffix}" for suffix in ("svg", "pdf", "png")]


@pytest.mark.parametrize(
    ("draw", "sparsities"),
    [(quality, ["sparsity 0.5", "sparsity 0.6"]), (sweep, ["0.5", "0.6"])],
)
def test_every_format_is_written_names_every_method_and_is_repeatable(
    tmp_path: Path, draw: Callable[..., None], sparsities: list[str]
) -> None:
    table = main_csv(tmp_path, ["qwen", "llama"], METHODS, ["0.5", "0.6"])
    first, second = outputs(tmp_path / "first"), outputs(tmp_path / "second")
    draw(table, first, note="")
    draw(table, second, note="")
    svg, pdf, png = (path.read_bytes() for path in first)
    assert (svg[:5], pdf[:5], png[:4]) == (b"<?xml", b"%PDF-", b"\x89PNG")
    for name in [*NAMES, "qwen", "llama", *sparsities]:
        assert f">{name}<" in svg.decode(), f"{name} is not in the figure"
    assert [path.read_bytes() for path in second] == [svg, pdf, png]
    assert sorted(first[0].parent.iterdir()) == sorted(first), "no temporary file may remain"


@pytest.mark.parametrize("draw", [quality, sweep])
def test_controls_are_left_out_whatever_they_are_called(
    tmp_path: Path, draw: Callable[..., None]
) -> None:
    header, *rows = (
        main_csv(tmp_path, ["qwen"], ["wanda", "coin", "leap"], ["0.5"]).read_text().split()
    )
    known = {"coin": "random-mask", "dense": ""}
    rows = [f"{row},{known.get(name := row.split(',')[1], name)}" for row in rows]
    table = tmp_path / "with.csv"
    table.write_text("\n".join([f"{header},implementation", *rows]) + "\n")
    draw(table, [tmp_path / "a.svg"], note="")
    text = (tmp_path / "a.svg").read_text()
    assert ">Wanda<" in text and ">LEAP<" in text and ">Dense<" in text and ">coin<" not in text


@pytest.mark.parametrize("draw", [quality, sweep])
@pytest.mark.parametrize(
    ("models", "sparsities", "dense"),
    [
        (["one"], ["0.5"], True),
        (["one"], ["0.5"], False),
        (["one"], [], True),
        (["a", "b", "c", "d", "a-name-too-long-for-one-line"], ["0.3", "0.5", "0.6", "0.8"], True),
    ],
)
def test_grids_from_one_point_to_the_papers(
    tmp_path: Path,
    draw: Callable[..., None],
    models: list[str],
    sparsities: list[str],
    dense: bool,
) -> None:
    table = main_csv(tmp_path, models, METHODS[:2], sparsities, dense)
    draw(table, [tmp_path / "figure.svg"], note="")
    svg = (tmp_path / "figure.svg").read_text()
    assert (">Dense<" in svg) == dense
    assert (">Wanda<" in svg) == bool(sparsities)
    assert all(f">{model}<" in svg for model in models[:4])


def test_methods_differ_without_colour_and_keep_their_look() -> None:
    looks = method_looks(METHODS)
    assert len({look.marker for look in looks.values()}) == len(METHODS)
    # In grey a line is told by marker and dashes together.
    assert len({(look.marker, look.dashes) for look in looks.values()}) == len(METHODS)
    assert method_looks(["leap", "zeta", "alpha"])["leap"] == looks["leap"]
    assert method_looks(["zeta", "alpha"])["alpha"] == method_looks(["alpha", "zeta"])["alpha"]
    many = method_looks([f"method-{number:02d}" for number in range(20)])
    assert len(many) == 20, "more unknown methods than spare looks still get one each"


def test_a_look_is_the_one_of_the_methods_schema() -> None:
    looks = method_looks(["dense", "wanda", "wanda-2-4", "leap"])
    assert looks["wanda"] == Look("#56B4E9", "s", (0, (4, 1.5)))
    assert looks["wanda-2-4"] == Look("#56B4E9", "s", (0, (4, 1.5)), filled=False)
    assert looks["leap"] == Look("#D55E00", "*", "-")
    assert "dense" not in looks


def test_seeds_of_a_cell_are_averaged(tmp_path: Path) -> None:
    dense = "qwen,dense,0.0,0,8,60,0.6"
    seeds = [
        f"qwen,wanda,0.5,{seed},{ppl},{acc},0.6" for seed, ppl, acc in [(0, 9, 50), (1, 11, 54)]
    ]
    for name, rows in (("seeds", seeds), ("mean", ["qwen,wanda,0.5,0,10,52,0.6"])):
        (tmp_path / f"{name}.csv").write_text("\n".join([HEADER, dense, *rows]) + "\n")
        quality(tmp_path / f"{name}.csv", [tmp_path / f"{name}.svg"], note="")
    assert (tmp_path / "seeds.svg").read_bytes() == (tmp_path / "mean.svg").read_bytes()


def test_a_control_is_left_to_the_table(tmp_path: Path) -> None:
    shown, hidden = ["wanda", "leap"], ["random-mask", "wanda", "leap"]
    files = []
    for folder, methods in (("without", shown), ("with", hidden)):
        (tmp_path / folder).mkdir()
        table = main_csv(tmp_path / folder, ["qwen"], methods[::-1], ["0.5", "0.6"])
        files.append(tmp_path / folder / "figure.svg")
        quality(table, [files[-1]], note="")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_unusable_input_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "main.csv"
    table.write_text("model,method\n")
    with pytest.raises(ValueError, match=r"main\.csv: no column average, average_stderr, ppl"):
        quality(table, [tmp_path / "figure.svg"], note="")
    table.write_text(HEADER + "\n")
    with pytest.raises(ValueError, match="is empty"):
        quality(table, [tmp_path / "figure.svg"], note="")
    table = main_csv(tmp_path, ["qwen"], ["wanda"], ["0.5"])
    with pytest.raises(ValueError, match=r"figure\.gif: a figure is saved as \.svg, \.pdf, \.png"):
        quality(table, [tmp_path / "figure.gif"], note="")


@pytest.mark.parametrize(("models", "lines"), [(["qwen"], 2), (["qwen", "llama", "gemma"], 1)])
def test_the_note_stands_in_a_strip_below_the_figure(
    tmp_path: Path, models: list[str], lines: int
) -> None:
    table = main_csv(tmp_path, models, METHODS, ["0.5", "0.6"])
    note = "Miniature models, generated tasks: nothing of this was measured on a real model"
    for name, text in (("with", note), ("without", "")):
        quality(table, [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"], note=text)
    noted, plain = ((tmp_path / f"{name}.svg").read_text() for name in ("with", "without"))
    words = note.split()
    found = [text for text in re.findall(r">([^<>\n]+)</text>", noted) if text not in plain]
    assert len(found) == lines and " ".join(found).split() == words
    (width, height), (plain_width, plain_height) = map(size, (noted, plain))
    assert width == plain_width
    assert height - plain_height == pytest.approx(lines * 0.16 * 72, abs=0.1)
    assert set(positions(plain)) < set(positions(noted)), "all else is where it was, from the top"
    assert imread(tmp_path / "with.png").shape[0] > imread(tmp_path / "without.png").shape[0]


def size(svg: str) -> tuple[float, float]:
    """Width and height in points."""
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]
    return float(width), float(height)


def positions(svg: str) -> list[tuple[str, str]]:
    """Every text with its attributes, among which is where it stands."""
    return re.findall(r"<text ([^>]*)>([^<\n]+)<", svg)
