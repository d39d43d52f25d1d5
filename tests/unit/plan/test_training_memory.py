"""The memory formulas: against real architectures, and against bytes counted on small models."""

from dataclasses import replace

import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from leap.execution import Execution
from leap.methods import elsa, relaxation
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.parameterisation import Start
from leap.methods.patch import Patch
from leap.model.layers import prunable_linears
from leap.settings import Settings
from leap.training.masks import learn_masks
from suite.jobs.shape import numbers_of, shape_of
from suite.plan.config import load
from suite.plan.cost.execution import Training, choose, together
from suite.plan.cost.shapes import MODELS, Sizes
from suite.plan.cost.training_memory import (
    CHUNKED,
    FUSED,
    WEIGHTS,
    Gate,
    gate_of,
    host_memory,
    training_memory,
)
from tests.live_bytes import LiveBytes
from tests.paper_models import config_of, model_of

CLASSES = {"qwen": (Qwen2Config, Qwen2ForCausalLM), "gemma": (Gemma3TextConfig, Gemma3ForCausalLM),
           "llama": (LlamaConfig, LlamaForCausalLM)}  # fmt: skip
# wide and shallow enough that activations of four tokens hardly count
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6, "vocab_size": 64,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
# small enough that activations count most; every number is another one
NARROW = {"hidden_size": 64, "intermediate_size": 224, "num_hidden_layers": 7, "vocab_size": 301,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24}  # fmt: skip
MEMORY_SAVED = [{}, {"recompute": True}, {"checkpointing": True},
                {"recompute": True, "checkpointing": True}]  # fmt: skip


@pytest.fixture(autouse=True)
def no_buffers_of_other_tests(monkeypatch):
    monkeypatch.setattr(relaxation, "_buffers", relaxation._Buffers())


def sizes_of(model):
    return Sizes(**numbers_of(model))


def switches_named(switches):
    return "+".join(switches) or "default"


@pytest.mark.parametrize("name", MODELS)
def test_counts_are_those_of_the_real_class(name):
    with torch.device("meta"):
        model = model_of(config_of(name))
    assert MODELS[name].sizes == sizes_of(model)


@pytest.mark.parametrize("name", MODELS)
def test_sizes_are_counted_from_a_config_alone(name, tmp_path):
    layers = 6
    config_of(name, num_hidden_layers=layers).save_pretrained(tmp_path)
    windowed = layers - layers // 6 if MODELS[name].windowed else 0
    expected = replace(MODELS[name], layers=layers, windowed=windowed)
    assert Sizes(**shape_of(tmp_path)) == expected.sizes


def expected_bytes(model, sequences, length, execution, gate=CHUNKED):
    return training_memory(
        sizes_of(model), sequences, length, execution,
        weight_bytes=model.dtype.itemsize, gate=gate,
    ).total  # fmt: skip


@pytest.mark.parametrize("switches", MEMORY_SAVED, ids=switches_named)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_formula_gives_the_bytes_alive_at_the_peak(switches, dtype):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).to(dtype)
    execution = Execution(**switches)
    with LiveBytes(model.parameters()) as live:
        learn_masks(
            model,
            torch.randint(64, (4, 4)),
            Settings(0.5, steps=2, batch=2, sequences_per_draw=1),
            execution=execution,
        )
    assert live.peak == pytest.approx(expected_bytes(model, 1, 4, execution), rel=0.03)


def narrow_model(family, dtype, **changes):
    torch.manual_seed(0)
    config, build = CLASSES[family]
    return build(config(**{**NARROW, **changes})).to(dtype)


PEAKS = [
    ("llama", torch.float32, {}, {}),
    ("llama", torch.bfloat16, {}, {"checkpointing": True}),
    ("llama", torch.bfloat16, {"vocab_size": 4001}, {"recompute": True}),  # at the loss
    ("llama", torch.bfloat16, {"vocab_size": 4001}, {"checkpointing": True}),
    ("qwen", torch.bfloat16, {}, {}),
    ("qwen", torch.float32, {}, {"checkpointing": True, "recompute": True}),
    ("gemma", torch.bfloat16, {"sliding_window": 48}, {}),  # masks, since no kernel has windows
    ("gemma", torch.float32, {"sliding_window": 512}, {"recompute": True}),
    ("gemma", torch.bfloat16, {"sliding_window": 48}, {"checkpointing": True}),
]


@pytest.mark.parametrize(("family", "dtype", "changes", "switches"), PEAKS)
def test_activations_and_the_loss_are_in_the_peak(family, dtype, changes, switches):
    model = narrow_model(family, dtype, **changes)
    execution = Execution(**switches)
    settings = Settings(0.5, steps=2, batch=4, sequences_per_draw=2)
    with LiveBytes(model.parameters()) as live:
        learn_masks(model, torch.randint(301, (4, 192)), settings, execution=execution)
    assert live.peak == pytest.approx(expected_bytes(model, 2, 192, execution), rel=0.1)


@pytest.mark.parametrize("family", CLASSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_save_what_the_formula_says(family, dtype):
    model = narrow_model(family, dtype, vocab_size=31)
    own = {tensor.untyped_storage()._cdata for tensor in model.parameters()}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage.nbytes(), tensor  # alive: no other takes its place
        return tensor

    settings = Settings(0.5, steps=1, batch=3, sequences_per_draw=3)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learn_masks(model, torch.randint(31, (3, 100)), settings, execution=Execution())
    memory = training_memory(
        sizes_of(model), 3, 100, Execution(), weight_bytes=dtype.itemsize, gate=CHUNKED
    )
    expected = sum(memory.parts[part] for part in ("masks", "masked weights", "activations"))
    assert sum(size for size, _ in found.values()) == pytest.approx(expected, rel=0.1)


CHUNK_ON_CPU = 2**16  # of MaskLLM; PATCH takes a band of tiles
GATES = {
    "maskllm": ({"pattern": "2:4"}, MaskLLM(2, 4)),
    "patch": ({"pattern": "2:4", "mode": "joint"}, Patch(32, 2, 4, joint=True)),
}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("method", GATES)
def test_gates_of_other_methods_hold_more(method, recompute):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SMALL, "num_hidden_layers": 2})).to(torch.bfloat16)
    chosen, parameterisation = GATES[method]
    execution = Execution(recompute=recompute)
    with LiveBytes(model.parameters()) as live:
        learn_masks(
            model, torch.randint(64, (4, 4)), Settings(0.5, steps=2, batch=2, sequences_per_draw=1),
            execution=execution, parameterisation=parameterisation,
        )  # fmt: skip
    gate = replace(gate_of(method, chosen), chunk=CHUNK_ON_CPU)
    expected = expected_bytes(model, 1, 4, execution, gate)
    assert live.peak == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("switches", [{}, {"checkpointing": True}], ids=switches_named)
def test_learned_weights_take_24_bytes_and_what_their_products_take(switches, dtype):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).to(dtype)
    execution = Execution(**switches)
    expected = expected_bytes(model, 1, 4, replace(execution, micro_batch=1), WEIGHTS)
    settings = elsa.Settings(0.5, steps=2, batch=2, interval=2, projection="moment")
    with LiveBytes(model.parameters()) as live:
        elsa.learn_weights(
            model, torch.randint(64, (4, 4)), settings, execution=replace(execution, micro_batch=1)
        )
    assert live.peak == pytest.approx(expected, rel=0.05)
    prunable = sizes_of(model).prunable
    assert 24 * prunable < live.peak < 32 * prunable


def test_the_state_of_learned_weights_is_as_large_as_the_host_formula_says(tmp_path, monkeypatch):
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)  # save before every step
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL))
    expected = host_memory(sizes_of(model), Execution(), gate=WEIGHTS).parts["state"]
    settings = elsa.Settings(0.5, steps=2, batch=2)
    elsa.learn_weights(model, torch.randint(64, (4, 4)), settings, state=tmp_path, save_seconds=0)
    (state,) = tmp_path.glob("*.safetensors")
    assert state.stat().st_size == pytest.approx(expected, rel=0.01)


def test_leap_keeps_no_masks_on_a_gpu_and_fixed_masks_take_a_byte():
    assert gate_of("leap", {}) == FUSED == Gate()
    assert gate_of("a method of somebody's own", {}) == FUSED
    assert gate_of("patch", {"pattern": "2:4", "mode": "tile"}).fixed == 1
    assert gate_of("maskllm", {"pattern": "2:4"}).logits == 6 / 4
    assert gate_of("elsa", {}) == WEIGHTS


LARGEST = MODELS["llama-3.1-8b"].sizes


def test_sharding_splits_all_that_lasts_but_not_what_a_block_computes():
    """6.98e9 prunable weights, 18 bytes each; 1.05e9 others; 58.7e6 in the largest matrix."""
    way = Execution(checkpointing=True, sharding=True)
    whole, split = (training_memory(LARGEST, 1, 4096, way, processes=n).parts for n in (1, 8))
    assert split["logits"] == split["gradients"] == split["two moments"] / 2
    assert split["logits"] == pytest.approx(4 * 6.98e9 / 8, rel=0.001)
    assert split["frozen weights"] == pytest.approx(2 * (6.98e9 / 8 + 1.05e9), rel=0.001)
    for part in ("masked weights", "activations"):
        assert split[part] == whole[part]
    # a hidden state and the vocabulary's loss: 3 x 2^26 floats and the head once more in float32
    assert split["at work"] == pytest.approx(3 * 4 * 2**26 + 4 * 128256 * 4096, rel=0.07)


def test_a_sharded_training_starts_with_the_whole_model():
    way = Execution(checkpointing=True, sharding=True)
    parts = training_memory(LARGEST, 1, 16, way, processes=64).parts
    assert parts["frozen weights"] == pytest.approx(2 * 8.03e9, rel=0.001)


def test_more_of_anything_never_needs_less():
    least = training_memory(LARGEST, 1, 512, Execution(checkpointing=True, sharding=True),
                            processes=8).total  # fmt: skip
    for sequences, length, way, processes in (
        (2, 512, Execution(checkpointing=True, sharding=True), 8),
        (1, 1024, Execution(checkpointing=True, sharding=True), 8),
        (1, 512, Execution(sharding=True), 8),
        (1, 512, Execution(checkpointing=True), 8),
        (1, 512, Execution(checkpointing=True, sharding=True), 4),
    ):
        assert training_memory(LARGEST, sequences, length, way, processes=processes).total > least


def test_first_logits_of_a_block_take_what_the_host_formula_says():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SMALL, "num_hidden_layers": 1}))
    shapes = [tuple(linear.weight.shape) for linear in prunable_linears(model).values()]
    with LiveBytes([]) as live:
        kept = []
        for index, shape in enumerate(shapes):
            prior_OI = torch.rand(shape) < 0.5
            start = Start(shape, Settings(0.5), index, prior_OI, None)
            kept.append((prior_OI, Leap().first(start)))
    way = Execution(sharding=True)
    # of a model that has no vocabulary and whose logits are split over very many
    sizes = replace(sizes_of(model), vocabulary=0)
    parts = host_memory(sizes, way, rank=1, processes=1000).parts
    assert live.peak == pytest.approx(parts["first logits"], rel=0.1)


def test_a_state_on_disk_is_as_large_as_the_host_formula_says(tmp_path):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL))
    settings = Settings(0.5, steps=2, batch=2, sequences_per_draw=1)
    learn_masks(model, torch.randint(64, (4, 4)), settings, execution=Execution(), state=tmp_path,
                save_seconds=0)  # fmt: skip
    (state,) = tmp_path.glob("*.safetensors")
    parts = host_memory(sizes_of(model), Execution()).parts
    assert state.stat().st_size == pytest.approx(parts["state"], rel=0.01)


def test_only_the_first_process_holds_the_result_and_each_its_share_of_the_state():
    way = Execution(sharding=True)
    first, second = (host_memory(LARGEST, way, rank=rank, processes=8) for rank in (0, 1))
    assert first.parts["result"] == pytest.approx(4 * 6.98e9, rel=0.001)
    assert second.parts["state"] == pytest.approx(12 * 6.98e9 / 8, rel=0.001)
    assert first.parts["masks"] == second.parts["masks"] == pytest.approx(6.98e9 / 8, rel=0.001)
    alone = host_memory(LARGEST, Execution(), rank=0)
    assert alone.parts["state"] == pytest.approx(12 * 6.98e9, rel=0.001)


A_PROCESS = 4e9  # of Python, its libraries and CUDA's context on the host


@pytest.mark.parametrize("scale", ["paper", "workstation"])
def test_scales_ask_for_the_hosts_memory_that_their_trainings_need(scale):
    settings = load({"scale": scale, "hub_mirror": ""})
    for name in settings["grid"]["models"]:
        own = settings["models"][name].get("resources", {}).get("train", {})
        asked = {**settings["resources"]["train"], **own}
        for method in ("leap", "maskllm", "patch", "elsa"):
            values = settings["methods"][method]
            gate = gate_of(method, values)
            training = Training(
                MODELS[name].sizes, values["batch"], together(values),
                settings["corpora"]["training"]["length"], gate=gate,
            )  # fmt: skip
            way = choose(training, asked["gpu"], 80e9, {})
            needed = sum(
                A_PROCESS
                + host_memory(
                    MODELS[name].sizes, way, rank=rank, processes=asked["gpu"], priors=2, gate=gate
                ).total
                for rank in range(asked["gpu"])
            )
            assert needed <= asked["mem_mb"] * 1e6, (name, method, needed / 1e9)
