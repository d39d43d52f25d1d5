"""MaskLLM and PATCH on LEAP's trainer, against trainings written out in plain autograd."""

import contextlib
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from transformers import LlamaConfig, LlamaForCausalLM

import leap
from leap.execution import Execution
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM, sample_gumbel
from leap.methods.parameterisation import Learned, Start, key, load
from leap.methods.patch import Patch
from leap.methods.patch.selection import dense_tiles
from leap.methods.patterns import gumbel, patterns
from leap.methods.relaxation import generator, sample_noise
from leap.model.layers import prunable_linears
from leap.seeds import noise_seed
from leap.selection import describe_masks, select_masks
from leap.settings import PRESETS, Settings

VOCABULARY, CONTEXT = 40, 16
SIZE = 8  # tiles; 24 and 16 are multiples, the 20 of the MLP below is not

KINDS = {
    "leap": Leap(),
    "2:4": MaskLLM(2, 4),
    "1:4": MaskLLM(1, 4),
    "tile": Patch(SIZE, 2, 4, joint=False),
    "joint": Patch(SIZE, 2, 4, joint=True),
}
SPARSITY = {"leap": 0.6, "2:4": 0.5, "1:4": 0.75, "tile": 0.35, "joint": 0.35}
# a step is large and masks stay soft, so that a wrong gradient shows in every logit
SOFT = {"steps": 12, "batch": 4, "sequences_per_draw": 2, "learning_rate": 1e-2, "warmup_steps": 3,
        "alpha": (2.0, 6.0), "tau": (2.0, 0.5), "seed": 5, "weight_decay": 0.1}  # fmt: skip


def llama():
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=16, intermediate_size=20, num_hidden_layers=2,
                         vocab_size=VOCABULARY, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=CONTEXT, initializer_range=0.2)  # fmt: skip
    return LlamaForCausalLM(config).eval()


def tokens():
    return torch.randint(3, VOCABULARY, (7, 12), generator=torch.Generator().manual_seed(1))


def n_of_m(shape, n, m, seed):
    """A mask N:M, another in each group."""
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(shape[0], shape[1] // m, m, generator=random).argsort(dim=2)
    return (order < n).flatten(1)


def shapes():
    return {name: tuple(linear.weight.shape) for name, linear in prunable_linears(llama()).items()}


def given(kind):
    """The one-shot masks that a training of this kind starts from."""
    what = KINDS[kind]
    if kind == "leap":
        return {"prior": {name: n_of_m(shape, 2, 4, 3) for name, shape in shapes().items()}}
    if isinstance(what, MaskLLM):
        pattern = what.n, what.m
        return {"prior": {name: n_of_m(shape, *pattern, 3) for name, shape in shapes().items()}}
    return {
        "prior": {name: n_of_m(shape, 3, 4, 4) for name, shape in shapes().items()},
        "sparse": {name: n_of_m(shape, 2, 4, 3) for name, shape in shapes().items()},
    }


def settings_of(kind, **changes):
    return Settings(**{"sparsity": SPARSITY[kind], **SOFT, **changes})


def learn(kind, settings=None, **options):
    settings = settings or settings_of(kind)
    return leap.learn_masks(
        llama(), tokens(), settings, parameterisation=KINDS[kind], **{**given(kind), **options}
    )


def soft_mask(kind, logits, shape, alpha, pattern_alpha, tau, seed, sparse):
    """The mask [O, I] by its formula, and nothing but its formula."""
    what = KINDS[kind]
    own = logits["logits"]
    if isinstance(what, Leap):
        return torch.sigmoid((alpha * own + sample_noise(shape, "logistic", seed, own)) / tau)
    table = patterns(what.n, what.m)
    if isinstance(what, MaskLLM):
        noise = sample_gumbel(tuple(own.shape), seed, own)
        return (torch.softmax((alpha * own + noise) / tau, dim=2) @ table).flatten(1)
    noise = sample_noise(tuple(own.shape), "logistic", seed, own)
    dense = torch.sigmoid((alpha * own + noise) / tau)
    dense = dense.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)[: shape[0], : shape[1]]
    below = sparse.float()
    if what.joint:
        noise = torch.empty(logits["patterns"].shape)
        random = generator(seed ^ 1, torch.device("cpu"))
        for start in range(0, shape[0], SIZE):
            band = noise[start : start + SIZE]
            band[:] = gumbel(band.flatten(0, 1).T.shape, band, random).T.reshape(band.shape)
        choice = torch.softmax((pattern_alpha * logits["patterns"] + noise) / tau, dim=2)
        below = (choice @ table).flatten(1)
    return dense + (1 - dense) * below


def training_by_hand(kind, s):
    """The same training with plain autograd: logits by layer and part after the last step."""
    model, blocks = llama(), tokens()
    frozen = {name: linear.weight.detach() for name, linear in prunable_linears(model).items()}
    masks = given(kind)
    sparse = masks.get("sparse", dict.fromkeys(frozen))
    logits = {}
    for index, (name, weight) in enumerate(frozen.items()):
        seed = noise_seed(s.seed, -1, index)
        start = Start(tuple(weight.shape), s, seed, masks["prior"][name], sparse[name])
        parts = KINDS[kind].first(start)
        logits[name] = {part: tensor.requires_grad_() for part, tensor in parts.items()}
    learned = [tensor for parts in logits.values() for tensor in parts.values()]
    optimiser = torch.optim.AdamW(
        learned, betas=(0.9, 0.95), weight_decay=s.weight_decay, fused=False, foreach=False
    )
    for step in range(s.steps):
        ratio = step / s.steps
        alpha = s.alpha[0] + (s.alpha[1] - s.alpha[0]) * ratio
        first, last = s.pattern_alpha or s.alpha
        pattern_alpha = first + (last - first) * ratio
        tau = s.tau[0] + (s.tau[1] - s.tau[0]) * ratio
        rate = s.learning_rate * (step + 1) / s.warmup_steps
        if step >= s.warmup_steps:
            angle = math.pi * (step - s.warmup_steps) / (s.steps - s.warmup_steps)
            rate = s.learning_rate * (1 + math.cos(angle)) / 2
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        micro_batches = s.batch // s.sequences_per_draw
        for micro in range(micro_batches):
            soft = {
                name: soft_mask(kind, logits[name], tuple(weight.shape), alpha, pattern_alpha, tau,
                                noise_seed(s.seed, step, micro, index), sparse[name])
                for index, (name, weight) in enumerate(frozen.items())
            }  # fmt: skip
            masked = {name: soft[name] * frozen[name] for name in frozen}
            rows = []
            for place in range(s.sequences_per_draw):
                start = step * s.batch + micro * s.sequences_per_draw
                epoch, row = divmod(start + place, len(blocks))
                random = torch.Generator().manual_seed(noise_seed(s.seed, -2, epoch))
                rows.append(torch.randperm(len(blocks), generator=random)[row])
            ids = blocks[torch.stack(rows)]
            weights = {f"{name}.weight": weight for name, weight in masked.items()}
            scores = functional_call(model, weights, kwargs={"input_ids": ids}).logits
            loss = nn.functional.cross_entropy(
                scores[:, :-1].reshape(-1, scores.shape[-1]), ids[:, 1:].reshape(-1)
            )
            whole = torch.cat([mask.flatten() for mask in soft.values()])
            loss = loss + s.density_strength * (whole.mean() - (1 - s.sparsity)).abs()
            share = sum(w.norm() for w in masked.values()) / sum(w.norm() for w in frozen.values())
            loss = loss - s.magnitude_strength * (1 - ratio) * share
            (loss / micro_batches).backward()
        optimiser.step()
    return {
        key(name, part): tensor.detach()
        for name, parts in logits.items()
        for part, tensor in parts.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [{}, {"recompute": True, "checkpointing": True}])
def test_training_gives_what_plain_autograd_gives(kind, memory):
    # the density of N:M masks is fixed, but the sum of 1:4's soft ones is 1 only up to rounding
    strength = {} if kind in ("leap", "tile", "joint") else {"density_strength": 0.0}
    settings = settings_of(kind, **strength)
    found = learn(kind, settings, execution=Execution(**memory)).logits
    expected = training_by_hand(kind, settings)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=2e-4, atol=2e-5)


def test_patchs_choices_have_a_schedule_of_their_own():
    settings = settings_of("joint", pattern_alpha=(1.0, 9.0))
    assert settings.pattern_alpha != settings.alpha
    found, expected = learn("joint", settings).logits, training_by_hand("joint", settings)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=2e-4, atol=2e-5)


def first_logits_of(kind):
    settings = settings_of(kind)
    masks = given(kind)
    sparse = masks.get("sparse", dict.fromkeys(shapes()))
    return {
        key(name, part): tensor
        for index, (name, shape) in enumerate(shapes().items())
        for part, tensor in KINDS[kind]
        .first(Start(shape, settings, index, masks["prior"][name], sparse[name]))
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
        wide = tiles[name].repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)
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
            wide = tiles[name].repeat_interleave(SIZE, 0).repeat_interleave(SIZE // 4, 1)
            wide = wide[: groups.shape[0], : groups.shape[1]]
            assert torch.equal(groups, torch.where(wide, 4, 2))
        assert abs(kept - 0.65 * total) <= SIZE * SIZE / 4
    else:
        assert kept == round((1 - SPARSITY[kind]) * total)


@pytest.mark.parametrize("kind", ["2:4", "tile", "joint"])
def test_training_lowers_the_loss_it_is_trained_on(kind):
    losses = []
    preset = PRESETS["patch" if kind in ("tile", "joint") else "maskllm"]
    longer = {"steps": 60, "warmup_steps": 5, "learning_rate": 2e-2, "magnitude_strength": 0.5}
    settings = Settings(**{"sparsity": SPARSITY[kind], **SOFT, **preset, **longer})
    learn(kind, settings, report=lambda step, values: losses.append(values["lm_loss"]))
    assert sum(losses[-10:]) < sum(losses[:10])


class Stopped(Exception):
    """Raised by a report in place of a power cut."""


@pytest.mark.parametrize("kind", ["2:4", "tile", "joint"])
def test_a_training_taken_up_again_ends_in_the_same_bits(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)
    undisturbed = learn(kind).logits

    def stop_at_seven(step, values):
        if step == 7:
            raise Stopped

    with contextlib.suppress(Stopped):
        learn(kind, state=tmp_path / "state", save_seconds=0, report=stop_at_seven)
    assert list((tmp_path / "state").glob("step-*"))
    reported = []
    again = learn(
        kind, state=tmp_path / "state", save_seconds=0, report=lambda step, _: reported.append(step)
    ).logits
    assert reported == list(range(SOFT["steps"]))
    assert again.keys() == undisturbed.keys()
    assert all(torch.equal(again[name], undisturbed[name]) for name in again)


def test_the_state_of_another_parameterisation_is_refused(tmp_path):
    def stop(step, values):
        if step == 2:
            raise Stopped

    with contextlib.suppress(Stopped):
        learn("tile", state=tmp_path, save_seconds=0, report=stop)
    assert list(tmp_path.glob("step-*"))
    with pytest.raises(ValueError, match="unfinished training of other settings"):
        learn("joint", state=tmp_path)


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
        leap.learn_masks(llama(), tokens(), settings, parameterisation=what, **masks)


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
        assert (described["tiles"]["size"], described["tiles"]["pattern"]) == (SIZE, "2:4")
        for name, dense in dense_tiles(started).items():
            rows = ["".join(str(int(tile)) for tile in row) for row in dense]
            assert described["tiles"]["dense"][name] == rows
