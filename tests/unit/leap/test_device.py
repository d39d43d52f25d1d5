"""What a training step asks of a GPU: few operations, and none for which the host has to wait.

Most is tested without one: device `meta` has no memory, so that whatever would be copied from
there or to there, as from and to a GPU, shows, and large matrices cost nothing.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from leap.distributed.rows import Split
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.parameterisation import Draw
from leap.methods.patch import Patch
from leap.methods.patch.tiles import shared_tile_weights
from leap.methods.patterns import shared_patterns
from leap.methods.relaxation import Relaxation
from leap.model.gated import GatedLinear

KINDS = ("leap", "maskllm", "tile", "joint")
PATCHES = ("tile", "joint")
# what makes tensors of Python's numbers
MAKERS = (
    (torch, "tensor"), (torch, "as_tensor"), (torch, "asarray"), (torch.Tensor, "new_tensor"),
)  # fmt: skip


class Waits(AssertionError):
    """The host would wait for the device, or the device for the host."""


class Operations(TorchDispatchMode):
    """Counts the operations in its body, and refuses those that a GPU's host has to wait for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        # only an index that is a mask has a size that depends on data, and it asks for `nonzero`
        if function is not torch.ops.aten.index.Tensor and {
            torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape
        } & set(function.tags):  # fmt: skip
            raise Waits(f"{function} needs a number from the device")
        result = function(*arguments, **(keywords or {}))
        tensors = [x for x in tree_leaves([arguments, keywords, result]) if torch.is_tensor(x)]
        if len({tensor.device for tensor in tensors}) > 1:
            raise Waits(f"{function} copies from one device to another")
        self.count += 1
        return result


def refuse(*arguments, **keywords):
    raise Waits("a tensor is made of numbers on the host and then copied")


def operations(call):
    """How many a call makes. Raises Waits where the host or the device waits for the other."""
    with pytest.MonkeyPatch.context() as patch, Operations() as made:
        for owner, name in MAKERS:
            patch.setattr(owner, name, refuse)
        call()
    return made.count


class HostGenerator(torch.Generator):
    """In place of a generator of the device `meta`, which there is none of."""

    def __new__(cls, device):
        return super().__new__(cls)


@pytest.fixture
def meta(monkeypatch):
    monkeypatch.setattr(torch, "Generator", HostGenerator)
    return torch.device("meta")


def step_of(kind, shape, device, size=8, hard=False, norm="l2", recompute=False):
    """A forward and backward pass of a gate, to be called more than once."""
    groups, tiles = (shape[0], shape[1] // 4, 6), [-(-length // size) for length in shape]
    what, parts = {
        "leap": (Leap(), {"logits": shape}),
        "maskllm": (MaskLLM(2, 4), {"logits": groups}),
        "tile": (Patch(size, 2, 4, joint=False), {"logits": tiles}),
        "joint": (Patch(size, 2, 4, joint=True), {"logits": tiles, "patterns": groups}),
    }[kind]
    logits = {n: torch.zeros(s, device=device, requires_grad=True) for n, s in parts.items()}
    weight = torch.ones(shape, device=device)
    sparse = torch.ones(shape, device=device, dtype=torch.bool)
    upstream = torch.ones(shape, device=device)
    draw = Draw(Relaxation(25.0, 1.0, hard=hard), 3, norm, recompute, sparse)

    def step():
        masked, kept, norm = what.gate(logits, weight, draw)
        ((masked * upstream).sum() + kept + norm).backward()
        assert all(tensor.grad is not None for tensor in logits.values())

    step()  # tables and buffers are made once
    return step


@pytest.mark.parametrize("kind", PATCHES)
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((2048, 2048), (512, 8)), ((2000, 1996), (512, 12))],
    ids=["whole tiles", "lower and narrower ones at the edges"],
)
def test_operations_do_not_grow_with_the_number_of_tiles(meta, kind, shape, sizes, recompute):
    few, many = (operations(step_of(kind, shape, meta, size, recompute=recompute))
                 for size in sizes)  # fmt: skip
    assert many == few < 400


@pytest.mark.parametrize("kind", KINDS)
def test_nor_with_the_size_of_a_matrix_that_is_one_chunk(meta, kind):
    small, large = (operations(step_of(kind, shape, meta)) for shape in ((64, 128), (1024, 2048)))
    assert large == small


WAYS = [{}, {"hard": True}, {"norm": "l1"}, {"norm": "none"}, {"recompute": True}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_no_gate_waits_for_the_device(meta, kind, way):
    assert operations(step_of(kind, (13, 20), meta, **way)) > 20


class Waiting(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * torch.tensor(2.0, device=grad.device)


@pytest.mark.parametrize(
    "wait",
    [
        lambda values: values.sum().item(),
        lambda values: float(values.sum()),
        lambda values: values.tolist(),
        lambda values: bool(values.sum() > 0),
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: values + torch.zeros(3).to(values.device),
        lambda values: values.cpu(),
        lambda values: values.copy_(torch.zeros(3)),
        lambda values: values * torch.tensor(2.0, device=values.device),
        lambda values: values.new_tensor([1.0, 2.0, 3.0]),
        lambda values: Waiting.apply(values.requires_grad_()).sum().backward(),
    ],
)
def test_what_waits_is_noticed(meta, wait):
    # device `meta` itself refuses what would need its data
    with pytest.raises((Waits, NotImplementedError)):
        operations(lambda: wait(torch.zeros(3, device=meta)))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, and PyTorch sees none")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_no_gate_waits_for_a_gpu(kind, way):
    step = step_of(kind, (13, 20), torch.device("cuda"), **way)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    ("table", "options"),
    [(shared_patterns, (1, 5, torch.float64)), (shared_tile_weights, ((13, 20), 6))],
)
def test_a_table_is_made_once_and_serves_training_whoever_asks_first(table, options):
    with torch.inference_mode():
        first = table(*options, torch.device("cpu"))
    assert not first.is_inference()
    assert table(*options, torch.device("cpu")) is first


def test_the_given_mask_moves_with_its_layer_and_is_in_no_state_dict():
    linear, mask = nn.Linear(20, 13), torch.ones(13, 20, dtype=torch.bool)
    logits = {"logits": torch.zeros(2, 3)}
    rest = {"logits": Split(13, 8, 2)}, mask, None, 0, Patch(8, 2, 4, joint=False), ("l2", False)
    layer = GatedLinear(linear, logits, *rest)
    assert set(layer.state_dict()) == {"linear.weight", "linear.bias", "logits.logits"}
    layer.to("meta").redraw(Relaxation(1.0, 1.0), 0)
    assert layer.draw.sparse_OI.is_meta
    without = GatedLinear(linear, logits, rest[0], None, *rest[2:])
    assert without.sparse_OI is None
