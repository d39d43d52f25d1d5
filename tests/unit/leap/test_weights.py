"""Trainings of weights: what they leave behind, and what they refuse. Mathematics: tests/oracle."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file

from leap.budget import layer_survivors
from leap.execution import Execution
from leap.methods import elsa
from leap.model.layers import prunable_linears
from tests.unit.leap import tiny
from tests.unit.leap.tiny import (
    Stopped,
    equal_bits,
    exact_masks,
    learned,
    llama,
    settings_of,
    tokens,
    trained,
)

KINDS = list(tiny.WEIGHTS)


def sizes_of(model):
    return {name: linear.weight.numel() for name, linear in prunable_linears(model).items()}


def kept(masks):
    return {name: int(mask.sum()) for name, mask in masks.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_trained_changes_and_each_layer_keeps_its_count(kind, family, dtype):
    model, dense = tiny.family(family, dtype=dtype), tiny.family(family, dtype=dtype)
    found = trained(kind, settings_of(kind, steps=4), model=model)
    masks = tiny.given(kind, dense).get("masks")
    assert list(found.weights) == list(found.masks) == list(sizes_of(dense))
    assert kept(found.masks) == layer_survivors(sizes_of(dense), 0.6)
    assert masks is None or equal_bits(found.masks, masks)
    weights = {f"{name}.weight": name for name in found.weights}
    others = {name for name, _ in dense.named_parameters()} - weights.keys()
    assert found.others.keys() == (others if kind == "elsa-all" else set())
    for name, parameter in dense.named_parameters():
        now = model.get_parameter(name)
        assert now.dtype == dtype
        if name in weights:
            weight, mask = found.weights[weights[name]], found.masks[weights[name]]
            assert torch.equal(now, weight) and weight.dtype == dtype
            assert not weight[~mask].any() and not torch.equal(weight[mask], parameter[mask])
        elif name in found.others:
            assert torch.equal(now, found.others[name]) and found.others[name].dtype == dtype
            assert not torch.equal(now, parameter), name
        else:
            assert torch.equal(now, parameter), name


@examples(deadline=None, max_examples=10)  # a busy machine is no failure
@given(st.floats(0.02, 0.98), st.sampled_from(["magnitude", "moment"]), st.integers(1, 2))
def test_elsa_meets_any_sparsity_exactly(sparsity, projection, interval):
    settings = settings_of(
        "elsa", sparsity=sparsity, steps=2, interval=interval, projection=projection
    )
    found = trained("elsa", settings)
    assert kept(found.masks) == layer_survivors(sizes_of(llama()), sparsity)


@examples(deadline=None, max_examples=15)
@given(
    st.floats(0.02, 0.98), st.floats(0, 1), st.integers(1, 6), st.integers(1, 5),
    st.sampled_from(["magnitude", "moment"]),
)  # fmt: skip
def test_gmp_meets_the_sparsity_of_its_ramp_exactly_at_every_step(
    sparsity, ramp, steps, interval, criterion
):
    model, last, removed = llama(), round(ramp * steps), [0.0] if round(ramp * steps) else []
    for following in range(1, last + 1):  # sparsity before each step, and at the end
        chosen = following == last or following % interval == 0
        cubic = sparsity * (1 - (1 - following / last) ** 3)
        removed.append(cubic if chosen else removed[-1])
    removed += [sparsity] * (steps + 1 - len(removed))
    counts = [layer_survivors(sizes_of(model), share) for share in removed]
    places, seen = list(counts[0]), []

    def report(step, values):
        assert values["density"] == pytest.approx(1 - removed[step])
        seen.append(kept({name: model.get_submodule(name).mask_RI for name in places}))

    settings = settings_of(
        "gmp", sparsity=sparsity, ramp=ramp, steps=steps, interval=interval, criterion=criterion
    )
    found = trained("gmp", settings, model=model, report=report)
    assert seen == counts[1:]
    assert kept(found.masks) == counts[-1] == layer_survivors(sizes_of(llama()), sparsity)


@pytest.mark.parametrize("kind", ["finetune", "distil"])
def test_fine_tuning_never_moves_a_removed_weight_nor_a_given_tensor(kind):
    model, taken = llama(), tiny.given(kind)
    before = {k: {n: x.clone() for n, x in of.items()} for k, of in taken.items()}
    steps = []

    def report(step, values):
        steps.append(step)
        for name, mask in taken["masks"].items():
            assert not model.get_submodule(name).weight[~mask].any(), name

    trained(kind, settings_of(kind, weight_decay=0.1), model=model, report=report, **taken)
    assert steps == list(range(12))
    assert all(equal_bits(taken[key], before[key]) for key in taken)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("ends", ["well", "in an error"])
def test_the_model_is_the_same_but_for_its_weights(kind, training, ends):
    model = llama(tie_word_embeddings=True, attention_bias=True).train(training).bfloat16()
    model.model.norm.weight.requires_grad_(False)

    def parts():
        return (
            {name: type(module) for name, module in model.named_modules()},
            {name: p.requires_grad for name, p in model.named_parameters()},
            list(model.state_dict()),
            {module.training for module in model.modules()},
            [name for name, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks],
        )

    def report(step, values):
        if step == 2 and ends != "well":
            raise Stopped

    before, how = parts(), {"execution": Execution(checkpointing=True), "report": report}
    if ends == "well":
        trained(kind, model=model, **how)
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
        assert all(p.grad is None for p in model.parameters())
    else:
        with pytest.raises(Stopped):
            trained(kind, model=model, **how)
    assert parts() == before
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert not any("forward" in module.__dict__ for module in model.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_does_not_change_a_bit(kind):
    assert equal_bits(learned(kind), learned(kind, execution=Execution(checkpointing=True)))


def test_the_weights_come_nearer_to_their_sparse_copy():
    lines = []
    settings = settings_of("elsa", steps=120, interval=10, penalty=0.5)
    trained("elsa", settings, blocks=tokens()[:4], report=lambda _, v: lines.append(v))
    assert lines[-1]["primal_residual"] < 0.6 * lines[0]["primal_residual"]


def test_distillation_draws_the_model_to_the_dense_one():
    lines = []
    settings = settings_of("distil", steps=60, distil=1.0)
    trained("distil", settings, blocks=tokens()[:4], report=lambda _, v: lines.append(v))
    assert 0 < lines[-1]["divergence"] < 0.3 * lines[0]["divergence"]


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_parameters_are_trained_in_float32(tmp_path, every_step, kind):
    """Steps that bfloat16 weights cannot resolve add up."""
    model = tiny.model_for(kind).bfloat16()
    name = "model.layers.0.mlp.up_proj"
    dense = {name: prunable_linears(model)[name].weight.detach().float().clone()}
    if kind == "elsa-all":
        dense["model.embed_tokens.weight"] = model.lm_head.weight.detach().float().clone()
    trained(kind, settings_of(kind, learning_rate=1e-4), model=model, state=tmp_path,
            save_seconds=0)  # fmt: skip
    saved = load_file(max(tmp_path.iterdir()))
    for name, before in dense.items():
        now = saved[f"weights/{name}"]
        moved = (now - before)[now != 0]
        assert 0 < moved.abs().max() < 12e-4
        assert not torch.equal(now, now.bfloat16().float())


def test_the_score_by_moment_is_the_loss_that_a_weight_costs():
    value, moment = torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[1.0, 16.0, 0.0]])
    score = elsa._score(value, moment)
    assert score.tolist() == [[3.0, 4.0, 0.0]]
    assert score.argsort().tolist() == (moment * value.square()).argsort().tolist()
    assert elsa._score(value, None).tolist() == [[3.0, 1.0, 2.0]]
    assert value.tolist() == [[3.0, -1.0, 2.0]]


COMMON = [
    ("sparsity", 1.0, "between 0 and 1"),
    ("steps", 0, "at least 1"),
    ("batch", 0, "at least 1"),
    ("learning_rate", 0.0, "positive"),
    ("warmup_steps", -1, "at least 0"),
    ("weight_decay", -0.1, "at least 0"),
    ("max_grad_norm", -1.0, "at least 0"),
]
OWN = {
    "elsa": [
        ("penalty", -0.01, "at least 0"),
        ("interval", 0, "at least 1"),
        ("projection", "moments", "one of magnitude, moment"),
        ("clipping", "all", "one of loss, sum"),
        ("decay", "constant", "one of cosine, linear"),
        ("update_at", "middle", "one of start, end"),
        ("trained", "biases", "one of prunable, all"),
    ],
    "finetune": [
        ("distil", 1.01, "from 0 to 1"),
        ("distil", -0.01, "from 0 to 1"),
        ("mask_share", 1.0, "at least 0, and leave a step to the weights"),
        ("mask_share", 0.99, "at least 0, and leave a step to the weights"),
        ("mask_share", -0.1, "at least 0, and leave a step to the weights"),
    ],
    "gmp": [
        ("ramp", 1.1, "from 0 to 1"),
        ("ramp", -0.1, "from 0 to 1"),
        ("interval", 0, "at least 1"),
        ("criterion", "wanda", "one of magnitude, moment"),
        ("decay", -1.0, "at least 0"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "name", "value", "wanted"),
    [(kind, *case) for kind, own in OWN.items() for case in [*COMMON, *own]],
)
def test_settings_that_cannot_be_are_refused_by_name(kind, name, value, wanted):
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, but must be {wanted}"):
        settings_of(kind, **{name: value})


@pytest.mark.parametrize(
    ("masks", "message"),
    [(exact_masks(llama(num_hidden_layers=3)), "belong to another model"),
     (exact_masks(llama(intermediate_size=24)), "belong to another model"),
     (exact_masks(llama(), 0.5), "keep .* weights, not .*: set its selection to exact")],
    ids=["more layers", "smaller layers", "another sparsity"],
)  # fmt: skip
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises(ValueError, match=message):
        trained("finetune", masks=masks)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_of_no_use_is_refused(kind):
    with pytest.raises(ValueError, match="micro_batch is 3, which does not divide the 4 sequences"):
        trained(kind, execution=Execution(micro_batch=3))
    with pytest.raises(ValueError, match="the model's context is 16"):
        trained(kind, blocks=tokens(length=17))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 12])
def test_a_training_that_diverges_is_refused_with_what_to_do(kind, steps):
    with pytest.raises(ValueError, match=r"not finite.*lower learning_rate"):
        trained(kind, settings_of(kind, learning_rate=1e39, warmup_steps=0, steps=steps))


@pytest.mark.parametrize(
    ("kind", "place"),
    [*((kind, "model.layers.1.mlp.up_proj.weight") for kind in KINDS),
     ("elsa-all", "lm_head.parametrizations.weight.original")],
)  # fmt: skip
def test_a_last_step_that_diverges_is_refused_too(kind, place):
    """The loss, which is computed before it, is finite."""
    model = tiny.model_for(kind)

    def report(step, values):
        if step == 11:
            model.get_parameter(place).data[3, 4] = torch.inf

    with pytest.raises(ValueError, match=r"a weight of .* is not finite: lower learning_rate"):
        trained(kind, model=model, report=report)
