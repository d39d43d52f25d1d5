"""Tiny models, and trainings of every learned method that take a second."""

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

import leap
from leap.budget import layer_survivors
from leap.methods import elsa, finetune, gmp
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.patch import Patch
from leap.model.layers import prunable_linears
from leap.settings import Settings

VOCABULARY, CONTEXT = 41, 16
TILE = 8  # 24 and 16 are multiples, the 20 of the MLP below is not
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": VOCABULARY,
        "num_attention_heads": 4, "max_position_embeddings": CONTEXT}  # fmt: skip
GROUPED = {**SIZE, "num_key_value_heads": 2, "initializer_range": 0.2}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED, intermediate_size=25)),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**GROUPED, intermediate_size=24, head_dim=8, sliding_window=5,
                         sliding_window_pattern=2, pad_token_id=0)
    ),
    "opt": lambda: OPTForCausalLM(OPTConfig(**SIZE, ffn_dim=24, word_embed_proj_dim=16)),  # biases
}  # fmt: skip

KINDS = {
    "leap": Leap(),
    "2:4": MaskLLM(2, 4),
    "1:4": MaskLLM(1, 4),
    "tile": Patch(TILE, 2, 4, joint=False),
    "joint": Patch(TILE, 2, 4, joint=True),
}
SPARSITY = {"leap": 0.6, "2:4": 0.5, "1:4": 0.75, "tile": 0.35, "joint": 0.35}
# a step is large and masks stay soft, so that a wrong gradient shows in every logit
SOFT = {"steps": 12, "batch": 4, "sequences_per_draw": 2, "learning_rate": 1e-2, "warmup_steps": 3,
        "alpha": (2.0, 6.0), "tau": (2.0, 0.5), "seed": 5}  # fmt: skip
# methods that train the weights themselves, by kind
WEIGHTS = {
    "elsa": (elsa, {"penalty": 0.05, "interval": 3}),
    "elsa-all": (
        elsa,
        {
            "penalty": 0.05,
            "interval": 3,
            "trained": "all",
            "clipping": "loss",
            "update_at": "start",
            "decay": "linear",
            "max_grad_norm": 0.5,
        },
    ),
    "finetune": (finetune, {"max_grad_norm": 0.2}),
    "distil": (finetune, {"distil": 0.3}),
    "gmp": (gmp, {"interval": 2, "criterion": "moment", "decay": 0.1, "max_grad_norm": 0.2}),
}
SHORT = {"sparsity": 0.6, "steps": 12, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 3,
         "seed": 5}  # fmt: skip


def family(name, seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return FAMILIES[name]().eval().to(dtype)


def llama(seed=0, **changes):
    """Odd numbers of rows in the MLP, which two processes cannot halve, unless changed."""
    torch.manual_seed(seed)
    config = LlamaConfig(**{**GROUPED, "intermediate_size": 25, **changes})
    return LlamaForCausalLM(config).eval()


def model_for(kind):
    """A model whose layers the kind's patterns fit; where all is trained, tied and with biases."""
    if kind == "elsa-all":
        return llama(tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
    return llama(intermediate_size=20 if kind in KINDS and kind != "leap" else 25)


def tokens(sequences=7, length=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (sequences, length), generator=generator)


def shapes(model):
    return {name: tuple(linear.weight.shape) for name, linear in prunable_linears(model).items()}


def random_masks(model, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.rand(shape, generator=generator) < 0.5 for n, shape in shapes(model).items()}


def exact_masks(model, sparsity=0.6, seed=2):
    """Random masks of the exact number of weights, by layer."""
    random = torch.Generator().manual_seed(seed)
    sizes = {name: shape[0] * shape[1] for name, shape in shapes(model).items()}
    masks = {}
    for name, keep in layer_survivors(sizes, sparsity).items():
        masks[name] = (torch.randperm(sizes[name], generator=random) < keep).view(
            shapes(model)[name]
        )
    return masks


def n_of_m(shape, n, m, seed):
    """A mask N:M, another in each group."""
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(shape[0], shape[1] // m, m, generator=random).argsort(dim=2)
    return (order < n).flatten(1)


def given(kind, model=None):
    """The masks of other methods that a training of this kind starts from, or keeps."""
    model = model or model_for(kind)
    what, own = KINDS.get(kind), shapes(model)
    if kind in WEIGHTS:
        if WEIGHTS[kind][0] is not finetune:
            return {}
        masks, name = exact_masks(model), list(own)[-1]
        start = {name: torch.full(own[name], 0.25)} if kind == "finetune" else {}
        return {"masks": masks, "start": start}
    if kind == "leap":
        return {}
    if isinstance(what, MaskLLM):
        return {"prior": {name: n_of_m(shape, what.n, what.m, 3) for name, shape in own.items()}}
    return {
        "prior": {name: n_of_m(shape, 3, 4, 4) for name, shape in own.items()},
        "sparse": {name: n_of_m(shape, 2, 4, 3) for name, shape in own.items()},
    }


def settings_of(kind, **changes):
    if kind in WEIGHTS:
        module, own = WEIGHTS[kind]
        return module.Settings(**{**SHORT, **own, **changes})
    return Settings(**{"sparsity": SPARSITY[kind], **SOFT, **changes})


def trained(kind, settings=None, *, model=None, blocks=None, **options):
    """Weights, masks and other parameters that a method trains, under given masks if it needs."""
    model = model_for(kind) if model is None else model
    blocks = tokens() if blocks is None else blocks
    options = {**given(kind, model), **options}
    return WEIGHTS[kind][0].learn_weights(model, blocks, settings or settings_of(kind), **options)


def learned(kind, settings=None, *, model=None, blocks=None, **options):
    """Tensors that a training ends with, by name: logits, or weights and masks."""
    settings = settings or settings_of(kind)
    model = model_for(kind) if model is None else model
    blocks = tokens() if blocks is None else blocks
    if kind in WEIGHTS:
        found = trained(kind, settings, model=model, blocks=blocks, **options)
        masks = {f"mask/{name}": mask for name, mask in found.masks.items()}
        return {**found.weights, **masks, **found.others}
    options = {"parameterisation": KINDS[kind], **given(kind), **options}
    return dict(leap.learn_masks(model, blocks, settings, **options).logits)


def equal_bits(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


class Stopped(Exception):
    """Raised by a report in place of a power cut."""
