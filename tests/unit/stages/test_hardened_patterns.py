"""Checkpoints of MaskLLM and PATCH, read back from disk and counted group by group."""

import pytest
import torch

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import load_masks, save_tensors
from leap_suite.plan.cell import Cell
from leap_suite.stages.binarise import binarise
from tests.unit.recipes import MODEL, recipes
from tests.unit.stages import made

SIZE = 16
MASKLLM = {"pattern": "2:4", "sparsity": 0.5, "seed": 0}
TAKEN = {"maskllm": "warm_start", "patch": "sparse_masks"}
PATCH = {"pattern": "2:4", "sparsity": 0.35, "seed": 0, "tile": SIZE, "mode": "joint"}


class Made:
    """Random logits of one method on a miniature, and the files made from them."""

    def __init__(self, place, folder, method, values, rule="exact"):
        self.place, self.folder = place, folder
        shapes = {name: list(weight.shape) for name, weight in made.dense(place).items()}
        random = torch.Generator().manual_seed(0)
        n, m = map(int, values["pattern"].split(":"))
        count = {(2, 4): 6, (4, 8): 70}[n, m]
        logits, fixed = {}, {}
        for name, (rows, columns) in shapes.items():
            choices = torch.randn(rows, columns // m, count, generator=random)
            if method == "maskllm":
                logits[name] = choices
                continue
            tiles = -(-rows // SIZE), -(-columns // SIZE)
            logits[name] = torch.randn(tiles, generator=random)
            if values["mode"] == "joint":
                logits[f"{name}/patterns"] = choices
            order = torch.rand(rows, columns // m, m, generator=random).argsort(dim=2)
            fixed[name] = (order < n).flatten(1)
        save_tensors(logits, folder / "logits")
        self.logits, self.fixed = logits, fixed
        sparse = folder / "sparse" if values.get("mode") == "tile" else None
        if sparse:
            save_masks(fixed, sparse)
        self.files = {name: str(folder / name) for name in ("mask", "choice", "report")}
        self.cell = Cell.at(MODEL, method, values["sparsity"])
        own = {key: values[key] for key in ("pattern", "tile", "mode") if key in values}
        lent = {"lender": {"like": "wanda", "budget": values["pattern"]}}
        self.recipes = recipes(
            methods={**lent, method: {**own, TAKEN[method]: "lender", "selection": rule}},
            studies={"patterns": {"grid": {"methods": {method: [values["sparsity"]]}}}},
        )
        report = {"layers": shapes, "settings": values}
        write_json(self.files["report"], {**report, "recipe": self.recipes.masks(self.cell)})
        recipe = self.recipes.selection(self.cell)
        binarise(folder / "logits", folder / "report", sparse, method, recipe, self.files)

    def harden(self):
        return made.harden(
            self.place, self.cell, self.files, self.folder / "hardened", self.recipes
        )


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_every_group_of_maskllms_checkpoint_keeps_its_number(place, tmp_path, pattern):
    values = {**MASKLLM, "pattern": pattern}
    weights, manifest = Made(place, tmp_path, "maskllm", values).harden()
    n, m = map(int, pattern.split(":"))
    for weight in weights.values():
        assert ((weight != 0).unflatten(1, (-1, m)).sum(dim=2) == n).all()
    assert manifest["achieved_sparsity"] == 0.5
    assert manifest["pruning"]["settings"]["pattern"] == pattern


@pytest.mark.parametrize("mode", ["tile", "joint"])
@pytest.mark.parametrize("rule", ["exact", "threshold"])
def test_patchs_checkpoint_is_what_the_manifests_tile_map_says(place, tmp_path, mode, rule):
    cell = Made(place, tmp_path, "patch", {**PATCH, "mode": mode}, rule)
    weights, manifest = cell.harden()
    tiles = manifest["selection"]["tiles"]
    assert (tiles["size"], tiles["pattern"]) == (SIZE, "2:4")
    kept = total = 0
    for name, weight in weights.items():
        dense = torch.tensor([[sign == "1" for sign in row] for row in tiles["dense"][name]])
        area = dense.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)
        area, alive = area[: len(weight), : weight.shape[1]], weight != 0
        per_group = alive.unflatten(1, (-1, 4)).sum(dim=2)
        assert torch.equal(per_group, 2 + 2 * area[:, ::4].int())
        if mode == "tile":
            assert torch.equal(alive[~area], cell.fixed[name][~area])
        if rule == "threshold":
            assert torch.equal(dense, cell.logits[name] > 0)
        kept, total = kept + int(alive.sum()), total + alive.numel()
    assert manifest["achieved_sparsity"] == pytest.approx(1 - kept / total, abs=1e-12)
    if rule == "exact":
        assert abs(kept - 0.65 * total) <= SIZE * SIZE / 4
        assert abs(manifest["achieved_sparsity"] - 0.35) < 0.01


def broken_group(masks, choice):
    """One more in one group of the last layer, one less in another: the count is the same."""
    row = list(masks.values())[-1][-1]
    first, last = int((~row).nonzero()[0]), int(row.nonzero()[-1])
    assert first // 4 != last // 4
    row[first], row[last] = True, False


def dense_layer(masks, choice):
    """All tiles of the first layer are dense, in the mask and in the map."""
    name = next(iter(masks))
    masks[name][:] = True
    choice["tiles"]["dense"][name] = ["1" * len(row) for row in choice["tiles"]["dense"][name]]


@pytest.mark.parametrize(
    ("method", "values", "spoil", "message"),
    [
        ("maskllm", MASKLLM, broken_group, r"2 of \d+ groups do not keep 2:4"),
        ("patch", PATCH, broken_group, r"2 of \d+ groups do not keep 2:4"),
        ("patch", PATCH, dense_layer, r"but sparsity 0.35 means"),
    ],
)
def test_what_breaks_its_pattern_is_not_hardened(place, tmp_path, method, values, spoil, message):
    cell = Made(place, tmp_path, method, values)
    masks, choice = dict(load_masks(cell.files["mask"])), read_json(cell.files["choice"])
    spoil(masks, choice)
    save_masks(masks, cell.files["mask"])
    write_json(cell.files["choice"], choice)
    with pytest.raises(ValueError, match=message):
        cell.harden()
    assert list((tmp_path / "hardened").iterdir()) == []
