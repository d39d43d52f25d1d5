"""Figures: every method appears, is told apart without colour, and the bytes are repeatable."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from matplotlib.image import imread

from suite.figures.quality import quality
from suite.figures.style import Look, method_looks
from suite.figures.sweep import sweep
from suite.plan.cell import DENSE
from suite.results.frame import Results
from suite.tables.told import Told
from tests.unit.made import collected, made, scored

METHODS = ["magnitude", "wanda", "sparsegpt", "thanos", "admm", "leap", "new_$method"]
NAMES = ["Magnitude", "Wanda", "SparseGPT", "Thanos", "ADMM", "LEAP", "new_$method", "Dense"]
TOLD = Told("test")


def grid(
    folder: Path,
    models: Sequence[str],
    methods: Sequence[str],
    sparsities: Sequence[float],
    dense: bool = True,
    **implementations: str,
) -> Results:
    """Results of a grid; the last method is the best one, `implementations` are of variants."""

    def cell(rank: int, shift: int, method: str, sparsity: float):
        loss = (10 - rank) * sparsity
        tasks = {"piqa": scored((60 + shift - loss) / 100, acc_stderr=0.006)}
        implementation = implementations.get(method, "")
        return made(
            folder, models[shift], method, sparsity,
            tasks=tasks, ppl=9 + loss, implementation=implementation,
        )  # fmt: skip

    files = {}
    for shift in range(len(models)):
        files |= cell(0, shift, DENSE, 0.0) if dense else {}
        for sparsity in sparsities:
            for rank, method in enumerate(methods):
                files |= cell(rank, shift, method, sparsity)
    return collected(files)


def outputs(folder: Path) -> list[Path]:
    return [folder / f"figure.{suffix}" for suffix in ("svg", "pdf", "png")]


@pytest.mark.parametrize(
    ("draw", "sparsities"),
    [(quality, ["sparsity 0.5", "sparsity 0.6"]), (sweep, ["0.5", "0.6"])],
)
def test_every_format_is_written_names_every_method_and_is_repeatable(
    tmp_path: Path, draw: Callable[..., None], sparsities: list[str]
) -> None:
    results = grid(tmp_path, ["qwen", "llama"], METHODS, [0.5, 0.6])
    first, second = outputs(tmp_path / "first"), outputs(tmp_path / "second")
    draw(results, TOLD, first)
    draw(results, TOLD, second)
    svg, pdf, png = (path.read_bytes() for path in first)
    assert (svg[:5], pdf[:5], png[:4]) == (b"<?xml", b"%PDF-", b"\x89PNG")
    for name in [*NAMES, "qwen", "llama", *sparsities]:
        assert f">{name}<" in svg.decode(), f"{name} is not in the figure"
    assert [path.read_bytes() for path in second] == [svg, pdf, png]
    assert sorted(first[0].parent.iterdir()) == sorted(first), "no temporary file may remain"


@pytest.mark.parametrize("draw", [quality, sweep])
def test_controls_are_left_to_the_table_whatever_they_are_called(
    tmp_path: Path, draw: Callable[..., None]
) -> None:
    shown, controls = ["wanda", "leap"], ["random-mask", "coin"]
    for name, methods in (("with", [*controls, *shown]), ("without", [None, None, *shown])):
        ranked = {method: rank for rank, method in enumerate(methods) if method}
        files = made(tmp_path / name, "qwen", DENSE)
        for method, rank in ranked.items():
            implementation = "random-mask" if method == "coin" else ""
            of_task = {"piqa": scored(0.4 + rank / 50)}
            files |= made(
                tmp_path / name, "qwen", method, tasks=of_task, implementation=implementation
            )
        draw(collected(files), TOLD, [tmp_path / f"{name}.svg"])
    assert (tmp_path / "with.svg").read_bytes() == (tmp_path / "without.svg").read_bytes()
    assert ">LEAP<" in (tmp_path / "with.svg").read_text()


@pytest.mark.parametrize("draw", [quality, sweep])
@pytest.mark.parametrize(
    ("models", "sparsities", "dense"),
    [
        (["one"], [0.5], True),
        (["one"], [0.5], False),
        (["one"], [], True),
        (["a", "b", "c", "d", "a-name-too-long-for-one-line"], [0.3, 0.5, 0.6, 0.8], True),
    ],
)
def test_grids_from_one_point_to_the_papers(
    tmp_path: Path,
    draw: Callable[..., None],
    models: list[str],
    sparsities: list[float],
    dense: bool,
) -> None:
    results = grid(tmp_path, models, METHODS[:2], sparsities, dense)
    draw(results, TOLD, [tmp_path / "figure.svg"])
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


def test_a_look_is_the_one_of_the_methods_schema_and_open_under_n_of_m() -> None:
    looks = method_looks(["dense", "wanda", "wanda-2-4", "leap"])
    assert list(looks) == ["wanda", "wanda-2-4", "leap"], "the dense model is a line"
    assert looks["wanda"] == Look("#56B4E9", "s", (0, (4, 1.5)))
    assert looks["wanda-2-4"] == Look("#56B4E9", "s", (0, (4, 1.5)), filled=False)
    assert looks["leap"] == Look("#D55E00", "*", "-")


def test_seeds_of_a_cell_are_averaged(tmp_path: Path) -> None:
    seeds = [(0, 9, 0.50), (1, 11, 0.54)]
    for name, cells in (("seeds", seeds), ("mean", [(0, 10, 0.52)])):
        files = made(tmp_path / name, "qwen", DENSE)
        for seed, ppl, acc in cells:
            of_task = {"piqa": scored(acc)}
            files |= made(tmp_path / name, "qwen", "wanda", seed=seed, ppl=ppl, tasks=of_task)
        quality(collected(files), TOLD, [tmp_path / f"{name}.svg"])
    assert (tmp_path / "seeds.svg").read_bytes() == (tmp_path / "mean.svg").read_bytes()


def test_a_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    results = grid(tmp_path, ["qwen"], ["wanda"], [0.5])
    with pytest.raises(ValueError, match=r"figure\.gif: a figure is saved as \.svg, \.pdf, \.png"):
        quality(results, TOLD, [tmp_path / "figure.gif"])


@pytest.mark.parametrize(("models", "lines"), [(["qwen"], 2), (["qwen", "llama", "gemma"], 1)])
def test_the_note_stands_in_a_strip_below_the_figure(
    tmp_path: Path, models: list[str], lines: int
) -> None:
    results = grid(tmp_path, models, METHODS, [0.5, 0.6])
    note = "Miniature models, generated tasks: nothing of this was measured on a real model"
    for name, told in (("with", Told("test", note=note)), ("without", TOLD)):
        quality(results, told, [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"])
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
