"""Checkpoints of MaskLLM and PATCH, read back from disk and counted group by group."""

import numpy as np
import pytest
import torch

from leap.model.layers import prunable_linears
from suite.artifacts.files import read_json, write_json
from suite.artifacts.masks import save_masks
from suite.artifacts.tensors import load_masks, save_tensors
from suite.plan.cell import Cell
from suite.stages import harden as harden_stage
from suite.stages import models
from suite.stages.binarise import binarise
from tests.unit.recipes import MODEL, recipes

SIZE = 16
MASKLLM = {"pattern": "2:4", "sparsity": 0.5, "seed": 0}
TAKEN = {"maskllm": "warm_start", "patch": "sparse_masks"}
PATCH = {"pattern": "2:4", "sparsity": 0.35, "seed": 0, "tile": SIZE, "mode": "joint"}


class Made:
    """Random logits of one method on a miniature, and the files made from them."""

    def __init__(self, place, folder, method, values, rule="exact"):
        self.folder, self.method, self.values = folder, method, values
        self.model = place / "model"
        dense = prunable_linears(models.load_model(self.model, "float32", "cpu"))
        self.shapes = {name: tuple(layer.weight.shape) for name, layer in dense.items()}
        random = torch.Generator().manual_seed(0)
        n, m = map(int, values["pattern"].split(":"))
        count = {(2, 4): 6, (4, 8): 70}[n, m]
        logits, fixed = {}, {}
        for name, (rows, columns) in self.shapes.items():
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
        report = {"layers": self.shapes, "settings": values}
        write_json(self.files["report"], {**report, "recipe": self.recipes.masks(self.cell)})
        recipe = self.recipes.selection(self.cell)
        binarise(folder / "logits", folder / "report", sparse, method, recipe, self.files)

    def harden(self):
        recipe = self.recipes.checkpoint(self.cell)
        target = self.folder / "hardened"
        harden_stage.harden(self.model, self.files, self.cell, "test", recipe, target)
        hard = models.load_model(self.folder / "hardened", "float32", "cpu")
        weights = {name: layer.weight.detach() for name, layer in prunable_linears(hard).items()}
        return weights, read_json(self.folder / "hardened/manifest.json")


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_every_group_of_maskllms_checkpoint_keeps_its_number(place, tmp_path, pattern):
    values = {**MASKLLM, "pattern": pattern}
    weights, manifest = Made(place, tmp_path, "maskllm", values).harden()
    n, m = map(int, pattern.split(":"))
    for weight in weights.values():
        for group in (weight != 0).int().reshape(-1, m).tolist():
            assert sum(group) == n
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
        alive = (weight != 0).int()
        for row, signs in enumerate(tiles["dense"][name]):
            for column, sign in enumerate(signs):
                area = np.s_[SIZE * row : SIZE * (row + 1), SIZE * column : SIZE * (column + 1)]
                part = alive[area]
                for group in part.reshape(-1, 4).tolist():
                    assert sum(group) == (4 if sign == "1" else 2)
                if mode == "tile" and sign == "0":
                    assert torch.equal(part.bool(), cell.fixed[name][area])
                if rule == "threshold":
                    assert (sign == "1") == bool(cell.logits[name][row, column] > 0)
        kept, total = kept + int(alive.sum()), total + alive.numel()
    assert manifest["achieved_sparsity"] == pytest.approx(1 - kept / total, abs=1e-12)
    if rule == "exact":
        assert abs(kept - 0.65 * total) <= SIZE * SIZE / 4
        assert abs(manifest["achieved_sparsity"] - 0.35) < 0.01


@pytest.mark.parametrize(("method", "values"), [("maskllm", MASKLLM), ("patch", PATCH)])
def test_a_broken_group_is_not_hardened(place, tmp_path, method, values):
    cell = Made(place, tmp_path, method, values)
    masks = dict(load_masks(cell.files["mask"]))
    name = list(masks)[-1]
    row = masks[name][-1]  # one more in one group, one less in the next that differs: same count
    first = int((~row).nonzero()[0])
    last = int(row.nonzero()[-1])
    assert first // 4 != last // 4
    row[first], row[last] = True, False
    save_masks(masks, cell.files["mask"])
    with pytest.raises(ValueError, match=r"2 of \d+ groups do not keep 2:4"):
        cell.harden()
    assert list((tmp_path / "hardened").iterdir()) == []


def test_a_tile_too_many_is_not_hardened(place, tmp_path):
    cell = Made(place, tmp_path, "patch", PATCH)
    masks = dict(load_masks(cell.files["mask"]))
    choice = read_json(cell.files["choice"])
    name = next(iter(masks))
    choice["tiles"]["dense"][name] = ["1" * len(row) for row in choice["tiles"]["dense"][name]]
    masks[name][:] = True
    save_masks(masks, cell.files["mask"])
    write_json(cell.files["choice"], choice)
    with pytest.raises(ValueError, match=r"but sparsity 0.35 means"):
        cell.harden()
