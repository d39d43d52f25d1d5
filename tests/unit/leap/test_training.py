"""Mask training against one written out in plain autograd, and its effect on the model."""

import dataclasses
import math
import threading

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM

import leap
from leap.execution import Execution
from leap.methods.leap import first_logits
from leap.methods.leap.selection import exact_masks, threshold_masks
from leap.model.layers import prunable_linears
from leap.seeds import noise_seed
from leap.selection import density as density_of
from leap.settings import Settings
from leap_suite.stages.models import CHECKPOINTS
from tests.unit.leap import tiny
from tests.unit.leap.by_hand import training_by_hand
from tests.unit.leap.tiny import CONTEXT, KINDS, equal_bits, llama, random_masks, tokens

SOFT = {"sparsity": 0.6, **tiny.SOFT, "steps": 20, "batch": 2}


VARIANTS = {
    "plain": {},
    "warm start": {"warm": True},
    "fresh masks for every micro-batch": {"batch": 6},
    "one sequence a micro-batch": {"batch": 3, "sequences_per_draw": 1},
    "more sequences a step than the corpus has": {
        "batch": 20, "sequences_per_draw": 10, "steps": 6,
    },
    "checkpointing": {"batch": 4, "how": {"checkpointing": True}},
    "recompute": {"batch": 4, "how": {"recompute": True}},
    "checkpointing and recompute": {"batch": 4, "how": {"checkpointing": True, "recompute": True}},
    "draws split into micro-batches": {
        "batch": 12, "sequences_per_draw": 6, "how": {"micro_batch": 2},
    },
    "one sequence at a time, clipped": {
        "batch": 8, "sequences_per_draw": 4, "max_grad_norm": 0.15, "how": {"micro_batch": 1},
    },
    "per block": {"density_scope": "per_block"},
    "sum over blocks": {"density_scope": "per_block_sum"},
    "sum of norms": {"magnitude": "norm_sum", "magnitude_strength": 0.1},
    "clipped": {"batch": 4, "max_grad_norm": 0.15},
    "l1": {"magnitude": "l1"},
    "no magnitude": {"magnitude": "none"},
    "gumbel": {"noise": "gumbel"},
    "hard": {"hard": True},
    "the paper's schedules, warm": {
        "alpha": (25.0, 350.0), "tau": (4.0, 0.05), "learning_rate": 1e-3, "warm": True,
    },
}  # fmt: skip


def assert_trained_as_by_hand(model, settings, execution, what=None, **masks):
    expected, expected_lines = training_by_hand(model, tokens(), settings, what, **masks)
    lines = []
    learned = leap.learn_masks(
        model, tokens(), settings, parameterisation=what, execution=execution,
        report=lambda step, values: lines.append((step, values)), **masks,
    )  # fmt: skip
    assert list(learned.logits) == list(expected)
    for name, logits in learned.logits.items():
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, expected[name], rtol=2e-4, atol=1e-5, msg=name)
    assert [step for step, _ in lines] == list(range(settings.steps))
    for (step, line), wanted in zip(lines, expected_lines, strict=True):
        assert line.keys() - wanted.keys() == {"tokens_per_second", "seconds"}
        for name, value in wanted.items():
            assert line[name] == pytest.approx(value, rel=1e-4, abs=1e-5), (step, name)
        assert line["tokens_per_second"] * line["seconds"] == pytest.approx(settings.batch * 12)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_twenty_steps_equal_those_of_plain_autograd(changes):
    changes = dict(changes)
    prior = random_masks(llama()) if changes.pop("warm", False) else None
    execution = Execution(**changes.pop("how", {}))
    assert_trained_as_by_hand(llama(), Settings(**{**SOFT, **changes}), execution, prior=prior)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "leap"])
@pytest.mark.parametrize("memory", [{}, {"recompute": True, "checkpointing": True}])
def test_other_methods_train_as_plain_autograd_does(kind, memory):
    # PATCH's choices have a schedule of their own
    own = {"pattern_alpha": (1.0, 9.0)} if kind == "joint" else {}
    settings = tiny.settings_of(kind, weight_decay=0.1, **own)
    if kind in ("2:4", "1:4"):  # whose density is fixed, but for rounding
        settings = dataclasses.replace(settings, density_strength=0.0)
    model = tiny.model_for(kind)
    assert_trained_as_by_hand(model, settings, Execution(**memory), KINDS[kind], **tiny.given(kind))


@pytest.mark.parametrize("family", ["gemma3", "opt"])
def test_other_families_train_as_plain_autograd_does(family):
    settings = Settings(**{**SOFT, "steps": 8, "batch": 4})
    assert_trained_as_by_hand(tiny.family(family), settings, Execution(checkpointing=True))


@pytest.mark.parametrize("changes", [{}, {"magnitude": "l1", "hard": True}])
def test_saving_memory_does_not_change_a_bit(changes):
    settings = Settings(**{**SOFT, "steps": 8, "batch": 4, **changes})
    expected = leap.learn_masks(llama(), tokens(), settings).logits
    for saving in (["recompute"], ["checkpointing"], ["recompute", "checkpointing"]):
        execution = Execution(**dict.fromkeys(saving, True))
        found = leap.learn_masks(llama(), tokens(), settings, execution=execution).logits
        assert all(torch.equal(found[name], expected[name]) for name in expected), saving


def test_equal_seeds_give_equal_bits_and_other_seeds_others():
    runs = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(runs))  # the global generator has no say
        settings = Settings(**{**SOFT, "seed": seed})
        runs.append(leap.learn_masks(llama(), tokens(), settings).logits)
    first, again, other = runs
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all((first[name] != other[name]).all() for name in first)


def test_every_epoch_shows_every_sequence_once_in_another_order():
    model, blocks = llama(), tokens(sequences=6)
    seen = []
    model.base_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.extend(kwargs["input_ids"].tolist()), with_kwargs=True
    )
    leap.learn_masks(model, blocks, Settings(**{**SOFT, "steps": 9, "batch": 4}))
    rows = [row for row in seen if len(row) == blocks.shape[1]]  # without the head's probe
    order = [blocks.tolist().index(row) for row in rows]
    epochs = [order[start : start + 6] for start in range(0, 36, 6)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 4


def test_token_ids_may_have_any_integer_type():
    settings = Settings(**{**SOFT, "steps": 3})
    expected = leap.learn_masks(llama(), tokens(), settings).logits
    for kind in (torch.int32, torch.int16, torch.uint8):
        found = leap.learn_masks(llama(), tokens().to(kind), settings).logits
        assert all(torch.equal(found[name], expected[name]) for name in expected), kind


def test_a_bfloat16_model_is_trained_with_float32_logits():
    settings = Settings(**SOFT)
    lines = []
    learned = leap.learn_masks(
        llama().bfloat16(), tokens(), settings, report=lambda _, values: lines.append(values)
    )
    expected, expected_lines = training_by_hand(llama(), tokens(), settings)
    moved = first_logits((16, 16), settings.init_std, noise_seed(5, -1, 0), None, 3.0)
    name = next(iter(expected))
    assert learned.logits[name].dtype == torch.float32
    # bfloat16 has 8 bits: directions agree, values only roughly
    change, wanted = learned.logits[name] - moved, expected[name] - moved
    assert torch.cosine_similarity(change.flatten(), wanted.flatten(), dim=0) > 0.9
    assert lines[-1]["lm_loss"] == pytest.approx(expected_lines[-1]["lm_loss"], rel=0.02)


def test_logits_can_be_kept_in_the_models_own_dtype(tmp_path, every_step):
    """Steps that bfloat16 logits cannot resolve are lost, others go the same way."""
    settings = Settings(**SOFT)
    expected = leap.learn_masks(llama().bfloat16(), tokens(), settings).logits
    changed = dataclasses.replace(settings, logits_dtype="model")
    found = leap.learn_masks(
        llama().bfloat16(), tokens(), changed, state=tmp_path, save_seconds=0
    ).logits
    saved = load_file(max(tmp_path.iterdir()))
    for name, logits in found.items():
        first = first_logits((16, 16), settings.init_std, noise_seed(5, -1, 0), None, 3.0)
        assert logits.dtype == torch.float32
        assert torch.equal(logits, logits.bfloat16().float()), "no other dtype in between"
        for kind in ("logits", "exp_avg", "exp_avg_sq"):
            assert saved[f"{kind}/{name}"].dtype == torch.bfloat16
        if logits.shape == first.shape and name.endswith("layers.0.self_attn.q_proj"):
            change, wanted = logits - first, expected[name] - first
            assert torch.cosine_similarity(change.flatten(), wanted.flatten(), dim=0) > 0.9
    whole = leap.learn_masks(llama(), tokens(), settings).logits
    same = leap.learn_masks(llama(), tokens(), changed).logits
    assert equal_bits(whole, same), "a float32 model's own dtype is float32"


def attributes(model):
    """Everything about a model that a training could leave changed."""
    return {
        "types": {name: type(module) for name, module in model.named_modules()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "needs": {name: p.requires_grad for name, p in model.named_parameters()},
        "same": {name: id(p) for name, p in model.named_parameters()},
        "grads": {name for name, p in model.named_parameters() if p.grad is not None},
        "own": {name: set(module.__dict__) for name, module in model.named_modules()},
        "hooks": {
            name: [len(getattr(module, kind)) for kind in vars(module) if kind.endswith("hooks")]
            for name, module in model.named_modules()
        },
    }


def bits(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_model_is_left_as_it_was(checkpointing, training):
    model = llama(tie_word_embeddings=True).train(training)
    model.model.layers[1].mlp.up_proj.weight.requires_grad_(False)
    model.model.norm.weight.requires_grad_(False)
    before, weights = attributes(model), bits(model)
    leap.learn_masks(
        model, tokens(), Settings(**{**SOFT, "steps": 3}),
        execution=Execution(checkpointing=checkpointing),
    )  # fmt: skip
    assert equal_bits(bits(model), weights)
    assert attributes(model) == before


class Enough(Exception):
    """Raised by a report to end a training early."""


def after(steps):
    def report(step, _):
        if step == steps - 1:
            raise Enough

    return report


def test_the_model_is_left_as_it_was_when_training_ends_early():
    model = llama()
    before, weights = attributes(model), bits(model)
    settings, execution = Settings(**SOFT), Execution(checkpointing=True)
    with pytest.raises(Enough):
        leap.learn_masks(model, tokens(), settings, execution=execution, report=after(2))
    assert equal_bits(bits(model), weights)
    assert attributes(model) == before


def miniature(name="mini-llama-3.2-1b"):
    return AutoModelForCausalLM.from_pretrained(CHECKPOINTS / name, dtype=torch.float32).eval()


def text_of(model, sequences, length):
    """What the model itself says."""
    torch.manual_seed(0)
    start = torch.randint(3, model.config.vocab_size, (sequences, 1))
    with torch.no_grad():
        return model.generate(
            start, do_sample=True, min_new_tokens=length - 1, max_new_tokens=length - 1
        )


@pytest.mark.parametrize(("sparsity", "scope"), [(0.5, "global"), (0.7, "per_block")])
def test_the_density_reaches_its_target(sparsity, scope):
    model = miniature()
    blocks = torch.randint(3, 1000, (40, 64), generator=torch.Generator().manual_seed(0))
    lines = []
    settings = Settings(
        sparsity=sparsity, steps=60, batch=4, sequences_per_draw=4, learning_rate=1e-2,
        density_scope=scope,
    )  # fmt: skip
    learned = leap.learn_masks(
        model, blocks, settings, report=lambda _, values: lines.append(values)
    )
    density = 1 - sparsity
    assert abs(lines[-1]["density"] - density) < 0.02
    # the official rule: near the target, by training alone
    assert abs(density_of(threshold_masks(learned.logits)) - density) < 0.02
    masks = leap.select_masks(learned)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == round(density * total)
    if scope == "per_block":
        for block in range(4):
            own = {n: m for n, m in masks.items() if n.startswith(f"model.layers.{block}.")}
            assert abs(density_of(own) - density) < 0.03


def test_learning_improves_the_masks_it_starts_from():
    model = miniature()
    text = text_of(model, 96, 48)
    weights = {name: linear.weight.detach() for name, linear in prunable_linears(model).items()}
    first = exact_masks({name: w.abs() for name, w in weights.items()}, 0.5)
    settings = Settings(sparsity=0.5, steps=30, batch=8, sequences_per_draw=8, learning_rate=3e-3)
    learned = leap.select_masks(leap.learn_masks(model, text[:64], settings, first))
    losses = []
    for masks in (first, learned):
        pruned = miniature()
        leap.apply_masks(pruned, masks)
        with torch.no_grad():  # on text it has not seen
            losses.append(float(pruned(input_ids=text[64:], labels=text[64:]).loss))
    assert losses[1] < losses[0] - 0.3


def test_applying_masks_zeroes_exactly_the_removed_weights():
    model = llama()
    before = bits(model)
    masks = random_masks(model)
    leap.apply_masks(model, masks)
    for name, tensor in model.state_dict().items():
        mask = masks.get(name.removesuffix(".weight"))
        expected = before[name] if mask is None else torch.where(mask, before[name], 0.0)
        assert torch.equal(tensor, expected), name


@pytest.mark.parametrize("rule", ["exact", "threshold"])
def test_masks_are_selected_as_the_settings_say(rule):
    settings = Settings(**{**SOFT, "steps": 2, "selection": rule})
    learned = leap.learn_masks(llama(), tokens(), settings)
    expected = {
        "exact": exact_masks(learned.logits, 0.6),
        "threshold": threshold_masks(learned.logits),
    }
    assert equal_bits(leap.select_masks(learned), expected[rule])
    assert not equal_bits(expected["exact"], expected["threshold"])


def refused(match, blocks=None, prior=None, settings=None, model=None, **options):
    """The call is refused with this message, and the model is left as it was."""
    model = model or llama()
    before, weights = attributes(model), bits(model)
    blocks = tokens() if blocks is None else blocks
    with pytest.raises(ValueError, match=match):
        leap.learn_masks(model, blocks, settings or Settings(**SOFT), prior, **options)
    assert equal_bits(bits(model), weights)
    assert attributes(model) == before


def lacking_a_layer():
    masks = random_masks(llama())
    masks.popitem()
    return masks


@pytest.mark.parametrize(
    ("match", "unusable"),
    [
        *((r"training tokens must be \[sequences, tokens\]", {"blocks": torch.ones(shape).long()})
          for shape in [(12,), (2, 3, 4), (0, 12), (3, 0), (3, 1)]),
        (f"sequences have {CONTEXT + 1} tokens, but the model's context is {CONTEXT}",
         {"blocks": tokens(length=CONTEXT + 1)}),
        *(("prior masks are not those of this model", {"prior": prior})
          for prior in [random_masks(llama(num_hidden_layers=3)), lacking_a_layer()]),
        *(("the prior mask has shape .* another model", {"prior": random_masks(llama(**change))})
          for change in [{"hidden_size": 32}, {"intermediate_size": 32}]),
    ],
)  # fmt: skip
def test_unusable_tokens_and_masks_are_refused_and_the_model_is_left_alone(match, unusable):
    refused(match, **unusable)


def test_a_model_without_prunable_layers_is_refused():
    model = llama()
    model.model.layers = nn.ModuleList()
    with pytest.raises(ValueError, match="has no prunable layers"):
        leap.learn_masks(model, tokens(), Settings(**SOFT))


@pytest.mark.parametrize("spoil", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_what_to_change(spoil):
    model = llama()
    model.lm_head.weight.data[4, 2] = spoil
    before = bits(model)
    lines = []
    with pytest.raises(ValueError, match=r"not finite at step 0 .*lower learning_rate .* tau"):
        leap.learn_masks(
            model, tokens(), Settings(**SOFT), report=lambda *values: lines.append(values)
        )
    assert lines == []
    after = bits(model)
    assert all(torch.equal(after[n].nan_to_num(7), before[n].nan_to_num(7)) for n in before)
    assert not any("Gated" in type(module).__name__ for module in model.modules())


def test_the_state_before_a_loss_that_is_not_finite_is_kept(tmp_path, every_step):
    blocks = tokens(sequences=8)
    blocks[3, 5] = 2  # a token that no other sequence has
    model = llama()
    model.model.embed_tokens.weight.data[2] = math.nan
    settings = Settings(**{**SOFT, "steps": 8, "batch": 1, "sequences_per_draw": 1})
    steps = []
    with pytest.raises(ValueError, match="a saved state of an earlier step is kept") as raised:
        leap.learn_masks(
            model, blocks, settings, state=tmp_path / "state", save_seconds=0,
            report=lambda step, _: steps.append(step),
        )  # fmt: skip
    failed = len(steps)
    assert 0 < failed < 8
    assert f"at step {failed} " in str(raised.value)
    states = sorted(file.name for file in (tmp_path / "state").iterdir())
    assert states[-1] == f"step-{failed:08d}.whole.safetensors"
    saved = load_file(tmp_path / "state" / states[-1])
    assert all(tensor.isfinite().all() for tensor in saved.values())


def test_learning_works_outside_the_main_thread():
    results = []
    settings = Settings(**{**SOFT, "steps": 3})
    thread = threading.Thread(
        target=lambda: results.append(leap.learn_masks(llama(), tokens(), settings).logits)
    )
    thread.start()
    thread.join()
    assert equal_bits(results[0], leap.learn_masks(llama(), tokens(), settings).logits)


def test_sharding_changes_nothing_where_there_is_one_process():
    settings = Settings(**{**SOFT, "steps": 3})
    one = leap.learn_masks(llama(), tokens(), settings).logits
    split = Execution(sharding=True)
    other = leap.learn_masks(llama(), tokens(), settings, execution=split).logits
    assert all(torch.equal(one[name], other[name]) for name in one)
