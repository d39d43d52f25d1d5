"""Models of packed checkpoints give the dense checkpoint's outputs, from fewer bytes."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import sha256, write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import load_tensors, save_tensors
from leap_suite.sparse.container import WEIGHTS, pack_checkpoint
from leap_suite.sparse.dense import DenseLinear
from leap_suite.sparse.layer import PackedLinear
from leap_suite.sparse.loading import load

SHAPE = {
    "vocab_size": 320, "hidden_size": 128, "intermediate_size": 200, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
    "attention_bias": True, "initializer_range": 0.1,
}  # fmt: skip


def packed(folder, dtype, **changed):
    """Dense model with 60 % zeros, and the folder of its packed checkpoint."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, **changed)).to(dtype).eval()
    masks = {}
    for name, linear in prunable_linears(model).items():
        masks[name] = torch.rand(linear.weight.shape) < 0.4
        linear.weight.data.masked_fill_(~masks[name], 0)
        torch.nn.init.normal_(linear.bias) if linear.bias is not None else None
    hardened = folder / "hardened"
    model.save_pretrained(hardened)
    save_masks(masks, hardened / "mask.safetensors")
    write_json(hardened / "manifest.json", {"weights_sha256": sha256(hardened / WEIGHTS)})
    size = pack_checkpoint(hardened, folder / "packed")
    assert size < (hardened / WEIGHTS).stat().st_size
    return AutoModelForCausalLM.from_pretrained(hardened, dtype=dtype), folder / "packed"


@pytest.mark.parametrize("tied", [True, False])
def test_greedy_text_is_the_dense_models(tmp_path, tied):
    model, folder = packed(tmp_path, torch.bfloat16, tie_word_embeddings=tied)
    sparse = load(folder)
    assert type(sparse.lm_head) is DenseLinear
    assert (sparse.lm_head.weight is sparse.model.embed_tokens.weight) == tied
    ids = torch.arange(10)[None]
    dense_text = model.generate(ids, max_new_tokens=200, do_sample=False)
    assert dense_text.shape == (1, 210)
    assert torch.equal(sparse.generate(ids, max_new_tokens=200, do_sample=False), dense_text)


def test_logits_in_float64_are_the_dense_models(tmp_path):
    model, folder = packed(tmp_path, torch.bfloat16)
    ids = torch.randint(0, 320, (3, 40))
    exact = model.double()(ids).logits
    found = load(folder).double()(ids).logits
    assert torch.allclose(found, exact, rtol=1e-12, atol=1e-12)
    assert exact.abs().max() > 0.1


def test_the_model_takes_the_bytes_of_the_file(tmp_path):
    _, folder = packed(tmp_path, torch.bfloat16)
    sparse = load(folder)
    layers = [module for module in sparse.modules() if isinstance(module, PackedLinear)]
    assert len(layers) == 14
    loaded = {t.data_ptr(): t.nbytes for t in sparse.state_dict().values()}
    stored = {n: t.nbytes for n, t in load_tensors(folder / WEIGHTS).items()}
    assert sum(loaded.values()) == sum(stored.values())


def test_transformers_alone_loads_the_folder(tmp_path):
    model, folder = packed(tmp_path, torch.float32)
    ids = torch.arange(7)[None]
    found = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
    assert torch.allclose(found, model(ids).logits, atol=1e-5)


def test_other_folders_damaged_bytes_and_other_shapes_are_refused(tmp_path):
    _, folder = packed(tmp_path, torch.bfloat16)
    with pytest.raises(ValueError, match=r"hardened has no packed checkpoint: its config\.json"):
        load(tmp_path / "hardened")
    with pytest.raises(ValueError, match="has no packed checkpoint"):
        load(tmp_path)
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="damaged"):
        load(folder)
    (folder / WEIGHTS).write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 264}))
    with pytest.raises(ValueError, match=r"mask has shape \[200, 16\], and the model's layer"):
        load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_tensors(folder / WEIGHTS)
    del tensors["model.layers.1.mlp.up_proj.starts"]
    save_tensors(tensors, folder / WEIGHTS)
    with pytest.raises(ValueError, match="the packed layers are not those of the model"):
        load(folder)
