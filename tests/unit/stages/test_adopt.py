"""What a baseline's own rule wrote: taken over where it keeps to the contract, else refused."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.masks import mask_hash
from leap_suite.artifacts.tensors import load_masks, load_tensors
from leap_suite.plan.cell import Cell
from leap_suite.stages.adopt import adopt
from tests.unit.recipes import MODEL, recipes
from tests.unit.stages import made

METHODS = {
    "magnitude": {"budget": "layer"},
    "magnitude-2-4": {"like": "magnitude", "budget": "2:4"},
}
BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\n12.5\t0:00:12\t{rss}\t90.00\n"
PLAIN, PATTERN = Cell(MODEL, "magnitude", "0.6"), Cell(MODEL, "magnitude-2-4", "0.5")


@pytest.fixture(scope="module")
def known():
    return recipes(methods=METHODS)


@pytest.fixture(scope="module")
def dense(place):
    return made.dense(place)


@pytest.fixture
def masks(dense):
    """Exactly 40 % of all weights survive, though not of every layer."""
    total = sum(weight.numel() for weight in dense.values())
    keep = int((1 - Fraction("0.6")) * total + Fraction(1, 2))
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    parts = (order < keep).split([weight.numel() for weight in dense.values()])
    return {n: part.reshape(dense[n].shape).clone() for n, part in zip(dense, parts, strict=True)}


class Foreign:
    """What a rule leaves behind, and what becomes of it."""

    def __init__(self, place, folder, known):
        self.place, self.folder, self.known = place, folder, known
        names = ("mask.safetensors", "weights.safetensors", "benchmark.tsv")
        self.files = {name.split(".")[0]: str(folder / name) for name in names}
        self.outputs = {
            "mask": str(folder / "pruned/mask.safetensors"),
            "weights": str(folder / "pruned/weights.safetensors"),
            "report": str(folder / "pruned/pruning.json"),
        }

    def adopt(self, masks, weights=None, cell=PLAIN, rss="64.00"):
        save_file(masks, self.files["mask"])
        save_file(weights or {}, self.files["weights"])
        (self.folder / "benchmark.tsv").write_text(BENCHMARK.format(rss=rss))
        return self.take_over(cell)

    def take_over(self, cell=PLAIN):
        (self.folder / "pruned").mkdir(exist_ok=True)
        recipe = self.known.masks(cell)
        adopt(self.place / "model", self.files, cell, recipe, self.outputs)
        return read_json(self.outputs["report"])

    def harden(self, cell=PLAIN):
        return made.harden(self.place, cell, self.outputs, self.folder / "hardened", self.known)


@pytest.fixture
def foreign(place, tmp_path, known):
    return Foreign(place, tmp_path, known)


def refusal(foreign, masks, weights=None, cell=PLAIN, file="mask") -> str:
    """The message, one line that begins with the file; no output is left behind."""
    with pytest.raises(ValueError) as error:
        foreign.adopt(masks, weights, cell)
    assert list((foreign.folder / "pruned").iterdir()) == []
    text = str(error.value)
    assert "\n" not in text and text.startswith(foreign.files[file])
    return text


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8])
def test_masks_are_taken_over_in_model_order_with_the_rules_cost(foreign, dense, masks, kind):
    stored = {name: masks[name].to(kind) for name in sorted(masks, reverse=True)}
    report = foreign.adopt(stored)
    taken = load_masks(foreign.outputs["mask"])
    assert list(taken) == list(dense)
    assert all(torch.equal(taken[name], masks[name]) for name in masks)
    assert load_tensors(foreign.outputs["weights"]) == {}
    assert report["cost"] == {
        "wall_time_seconds": 12.5, "peak_memory_bytes": 64 * 2**20, "peak_gpu_memory_bytes": 0,
    }  # fmt: skip
    assert report["dtype"] == "float32"
    assert report["implementation"] == "magnitude" and report["settings"] == {"budget": "layer"}
    assert report["recipe"] == foreign.known.masks(PLAIN)
    _, manifest = foreign.harden()
    assert manifest["survivors"] == sum(int(mask.sum()) for mask in masks.values())
    assert manifest["mask_sha256"] == mask_hash(masks)
    assert manifest["kept_weights_changed"] is False
    assert manifest["pruning"]["cost"] == report["cost"]


@pytest.mark.parametrize("rss", ["-", "NA"])
def test_a_command_too_short_to_be_weighed_has_no_memory(foreign, masks, rss):
    assert foreign.adopt(masks, rss=rss)["cost"]["peak_memory_bytes"] == 0


def test_weights_with_new_survivors_reach_the_checkpoint_and_others_are_dropped(
    foreign, dense, masks
):
    """What is removed may hold anything."""
    first, second, third, *_ = masks
    weights = {f"{name}.weight": dense[name].clone() for name in (first, second, third)}
    weights[f"{first}.weight"] = new = dense[first] * 1.5 + 1
    weights[f"{second}.weight"][~masks[second]] = 7
    weights[f"{third}.weight"][tuple(masks[third].nonzero()[0])] += 1
    foreign.adopt(masks, weights)
    kept = load_tensors(foreign.outputs["weights"])
    assert list(kept) == [f"{first}.weight", f"{third}.weight"]
    found, manifest = foreign.harden()
    assert torch.equal(found[first], new * masks[first])
    assert all(torch.equal(found[n], dense[n] * masks[n]) for n in masks if n not in (first, third))
    assert manifest["kept_weights_changed"] is True


def test_an_n_m_budget_is_counted_group_by_group(foreign, dense):
    masks = {
        name: torch.tensor([1, 0, 1, 0]).bool().repeat(len(weight), weight.shape[1] // 4)
        for name, weight in dense.items()
    }
    foreign.adopt(masks, cell=PATTERN)
    for output in foreign.outputs.values():
        Path(output).unlink()
    first, *_ = masks
    masks[first][0, [1, 4]] = torch.tensor([True, False])  # the count is right, the pattern is not
    text = refusal(foreign, masks, cell=PATTERN)
    assert f"{first}: 2 of {masks[first].numel() // 4} groups do not keep 2:4" in text


def spoiled(weight):
    return weight.index_fill(0, torch.tensor(0), float("nan"))


UNUSABLE = {
    "missing": ("mask", "", lambda mask: None, "there is no mask of {}"),
    "unknown": ("mask", "x", lambda mask: mask.clone(), "{}x is none of the model's prunable"),
    "shape": ("mask", "", lambda mask: mask[:-1].clone(), "{} has shape"),
    "float": ("mask", "", lambda mask: mask.float(), "{} must be bool, or 0 and 1"),
    "255": ("mask", "", lambda mask: mask.to(torch.uint8) * 255, "{} must be bool, or 0 and 1"),
    "NaN": ("weights", ".weight", spoiled, "{}.weight holds NaN or infinite"),
    "dtype": ("weights", ".weight", lambda x: x.bfloat16(), "{}.weight is torch.bfloat16, but "),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_tensors_are_refused(foreign, dense, masks, case):
    file, suffix, change, message = UNUSABLE[case]
    first, *_ = masks
    given = {"mask": dict(masks), "weights": {}}
    given[file][first + suffix] = change((masks if file == "mask" else dense)[first])
    kept = {name: mask for name, mask in given["mask"].items() if mask is not None}
    assert message.format(first) in refusal(foreign, kept, given["weights"], file=file)


@pytest.mark.parametrize("more", [True, False])
def test_one_survivor_too_many_or_too_few_is_counted(foreign, masks, more):
    first, *_ = masks
    total, kept = sum(m.numel() for m in masks.values()), sum(int(m.sum()) for m in masks.values())
    place = (masks[first] != more).nonzero()[0]
    masks[first][tuple(place)] = more
    found = kept + (1 if more else -1)
    text = refusal(foreign, masks)
    assert f"keeps {found} of {total} weights, but sparsity 0.6 means {kept}" in text


@pytest.mark.parametrize("file", ["mask", "weights"])
def test_a_file_of_another_kind_is_refused(foreign, masks, file):
    foreign.adopt(masks)
    Path(foreign.files[file]).write_text("no tensors")
    with pytest.raises(ValueError, match=rf"{file}\.safetensors is no safetensors file"):
        foreign.take_over()


def test_a_model_of_another_recipe_is_refused(foreign, masks):
    foreign.known = recipes(methods=METHODS, models={MODEL: {"dtype": "bfloat16"}})
    with pytest.raises(ValueError, match=r"model\.json was made with other settings"):
        foreign.adopt(masks)
