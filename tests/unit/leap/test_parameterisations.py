"""MaskLLM and PATCH on LEAP's trainer: start, patterns, refusals. Training: test_training.py."""

import math

import pytest
import torch

import leap
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.parameterisation import Learned, Start, key, load
from leap.methods.patch import Patch
from leap.methods.patch.selection import dense_tiles
from leap.selection import describe_masks, select_masks
from leap.settings import Settings
from tests.unit.leap import tiny
from tests.unit.leap.tiny import KINDS, SPARSITY, TILE, given, settings_of, tokens


def shapes():
    return tiny.shapes(tiny.model_for("joint"))


def learn(kind, settings=None, **options):
    settings, model = settings or settings_of(kind), tiny.model_for(kind)
    options = {"parameterisation": KINDS[kind], **given(kind), **options}
    return leap.learn_masks(model, tokens(), settings, **options)


def first_logits_of(kind):
    settings = settings_of(kind)
    masks = given(kind)
    prior, sparse = (masks.get(name, dict.fromkeys(shapes())) for name in ("prior", "sparse"))
    return {
        key(name, part): tensor
        for index, (name, shape) in enumerate(shapes().items())
        for part, tensor in KINDS[kind]
        .first(Start(shape, settings, index, prior[name], sparse[name]))
        .items()
    }


@pytest.mark.parametrize("kind", ["2:4", "1:4"])
def test_maskllm_begins_with_the_mask_it_is_given(kind):
    started = Learned(first_logits_of(kind), settings_of(kind), KINDS[kind], shapes())
    masks = select_masks(started)
    assert all(torch.equal(masks[name], prior) for name, prior in given(kind)["prior"].items())


@pytest.mark.parametrize("kind", ["tile", "joint"])
def test_patch_begins_with_the_masks_it_is_given(kind):
    settings = settings_of(kind, selection="threshold")
    sparse = given(kind)["sparse"]
    started = Learned(first_logits_of(kind), settings, KINDS[kind], shapes(), sparse)
    tiles = dense_tiles(started)
    for name, mask in select_masks(started).items():
        # half of 2 x 0.15 of the tiles, rounded, are dense; all others are the N:M mask
        assert int(tiles[name].sum()) == math.floor(0.3 * tiles[name].numel() + 0.5)
        wide = tiles[name].repeat_interleave(TILE, 0).repeat_interleave(TILE, 1)
        wide = wide[: mask.shape[0], : mask.shape[1]]
        assert torch.equal(mask, wide | sparse[name])


@pytest.mark.parametrize("kind", KINDS)
def test_the_masks_have_the_pattern_and_density_they_promise(kind):
    learned = learn(kind)
    masks = select_masks(learned)
    kept = sum(int(mask.sum()) for mask in masks.values())
    total = sum(mask.numel() for mask in masks.values())
    what = KINDS[kind]
    if isinstance(what, MaskLLM):
        for mask in masks.values():
            assert (mask.view(mask.shape[0], -1, what.m).sum(dim=2) == what.n).all()
    if isinstance(what, Patch):
        tiles = dense_tiles(learned)
        for name, mask in masks.items():
            groups = mask.view(mask.shape[0], -1, 4).sum(dim=2)
            wide = tiles[name].repeat_interleave(TILE, 0).repeat_interleave(TILE // 4, 1)
            wide = wide[: groups.shape[0], : groups.shape[1]]
            assert torch.equal(groups, torch.where(wide, 4, 2))
        assert abs(kept - 0.65 * total) <= TILE * TILE / 4
    else:
        assert kept == round((1 - SPARSITY[kind]) * total)


@pytest.mark.parametrize(
    ("what", "sparsity", "masks", "message"),
    [
        (MaskLLM(2, 4), 0.6, {}, r"sparsity is 0.6, but the pattern 2:4 has 0.5"),
        (MaskLLM(8, 16), 0.5, {}, "8:16 has 12870 patterns"),
        (Patch(8, 2, 4, joint=True), 0.6, {}, r"reach 0.5 at most"),
        (Patch(6, 2, 4, joint=True), 0.4, {}, "tiles of 6 cannot be cut into groups of 4"),
        (Patch(8, 2, 4, joint=False), 0.4, {}, "need those masks, or joint training"),
        (Patch(8, 2, 4, joint=True), 0.4, {"sparse": {}}, "N:M masks are not those of this model"),
        (MaskLLM(3, 7), 1 - 3 / 7, {}, "16 inputs are no multiple of 7"),
    ],
)
def test_what_cannot_be_done_is_refused(what, sparsity, masks, message):
    settings = Settings(sparsity, steps=1, batch=1)
    with pytest.raises(ValueError, match=message):
        leap.learn_masks(
            tiny.model_for("joint"), tokens(), settings, parameterisation=what, **masks
        )


def test_methods_are_found_by_name():
    assert load("leap").from_settings({}) == Leap()
    assert load("maskllm").from_settings({"pattern": "1:4"}) == MaskLLM(1, 4)
    values = {"pattern": "2:4", "tile": 16, "mode": "joint"}
    assert load("patch").from_settings(values) == Patch(16, 2, 4, joint=True)
    assert load("patch").from_settings({**values, "mode": "tile"}) == Patch(16, 2, 4, joint=False)
    with pytest.raises(ValueError, match="mode is 'tiles', but must be tile or joint"):
        load("patch").from_settings({**values, "mode": "tiles"})
    with pytest.raises(ValueError, match=r"unknown learned method 'lap'.*leap/methods/lap\.py"):
        load("lap")
    with pytest.raises(ValueError, match=r"has no function from_settings"):
        load("relaxation")


@pytest.mark.parametrize("rule", ["exact", "threshold"])
def test_only_patch_has_more_to_say_of_its_choice(rule):
    for kind in KINDS:
        settings = settings_of(kind, selection=rule)
        sparse = given(kind).get("sparse")
        started = Learned(first_logits_of(kind), settings, KINDS[kind], shapes(), sparse)
        described = describe_masks(started)
        if not isinstance(KINDS[kind], Patch):
            assert described == {}
            continue
        # half of what one of 8 x 8 weights can change: half of them are in a sparse tile
        assert described.get("tolerance") == (16 if rule == "exact" else None)
        assert (described["tiles"]["size"], described["tiles"]["pattern"]) == (TILE, "2:4")
        for name, dense in dense_tiles(started).items():
            rows = ["".join(str(int(tile)) for tile in row) for row in dense]
            assert described["tiles"]["dense"][name] == rows
