"""Parts of matrices: that they are all of it, and that a part's mask is that of the whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leap.distributed.rows import Split
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.parameterisation import Draw, Start
from leap.methods.patch import Patch
from leap.methods.relaxation import Relaxation, overlaps
from leap.settings import Settings

SIZES = {
    "outputs": st.integers(1, 60),
    "row_block": st.integers(1, 9),
    "processes": st.integers(1, 7),
}


@given(**SIZES)
def test_every_row_has_one_process_and_every_band_too(outputs, row_block, processes):
    split = Split(outputs, row_block, outputs)
    rows = [split.rows(rank, processes) for rank in range(processes)]
    assert [row for r in rows for row in range(r.first, r.stop)] == list(range(outputs))
    assert all(r.first % row_block == 0 for r in rows if r.height)
    assert all(r.height <= rows[0].height for r in rows)


@given(**SIZES)
def test_rows_of_tiles_go_with_the_rows_of_their_weights(outputs, row_block, processes):
    tiles = -(-outputs // row_block)
    split, weights = (Split(outputs, row_block, length) for length in (tiles, outputs))
    parts = [split.part(rank, processes) for rank in range(processes)]
    assert [tile for part in parts for tile in range(tiles)[part]] == list(range(tiles))
    for rank, part in enumerate(parts):
        rows = weights.part(rank, processes)
        if tiles != outputs:
            assert {row // row_block for row in range(outputs)[rows]} == set(range(tiles)[part])


@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_a_part_meets_the_chunks_of_the_whole(length, size, data):
    first = data.draw(st.integers(0, length))
    stop = data.draw(st.integers(first, length))
    chunks = [slice(start, min(start + size, length)) for start in range(0, length, size)]
    whole, part = list(range(length)), list(range(first, stop))
    met = list(overlaps(iter(chunks), slice(first, stop)))
    assert [chunk for chunk, _, _ in met] == chunks[: len(met)], "none is left out before the last"
    assert [x for chunk, inside, _ in met for x in whole[chunk][inside]] == part
    assert [x for _, _, here in met for x in part[here]] == part


KINDS = {
    "leap": Leap(), "maskllm": MaskLLM(2, 4), "tile": Patch(8, 2, 4, joint=False),
    "joint": Patch(8, 2, 4, joint=True),
}  # fmt: skip


@pytest.fixture
def several_chunks(monkeypatch):
    monkeypatch.setattr("leap.methods.relaxation._CHUNK_ON_CPU", 64)
    monkeypatch.setattr("leap.methods.maskllm._LOGITS_ON_CPU", 64)


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("rows", [1, 13, 29, 48])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_of_some_rows_is_those_rows_of_the_mask(
    several_chunks, kind, rows, recompute, norm
):
    what, shape = KINDS[kind], (rows, 20)
    torch.manual_seed(rows)
    weight = torch.randn(shape)
    sparse = (torch.arange(20) % 2 == 0).expand(shape).clone() if kind == "tile" else None
    first = what.first(Start(shape, Settings(0.4, init_std=1.0), 3, None, sparse))
    upstream = torch.randn(shape)

    def gated(own, part):
        of = None if part is None else Split(rows, what.row_block, rows).rows(*part)
        here = slice(None) if of is None else slice(of.first, of.stop)
        below = None if sparse is None else sparse[here]
        draw = Draw(Relaxation(3.0, 0.7), 11, norm, recompute, below, of)
        masked, kept, size = what.gate(own, weight[here], draw)
        ((masked * upstream[here]).sum() + 0.3 * kept).backward()
        return masked, kept, size

    whole = {name: tensor.clone().requires_grad_() for name, tensor in first.items()}
    masked, kept, size = gated(whole, None)
    parts, found = [], []
    for rank in range(3):
        own = {
            name: tensor[Split(rows, what.row_block, len(tensor)).part(rank, 3)]
            .clone()
            .requires_grad_()
            for name, tensor in first.items()
        }
        found.append(gated(own, (rank, 3)))
        parts.append(own)
    close = {"rtol": 1e-6, "atol": 1e-7}  # a CPU's vectors end elsewhere
    torch.testing.assert_close(torch.cat([part for part, _, _ in found]), masked, **close)
    torch.testing.assert_close(sum(k for _, k, _ in found), kept, rtol=1e-6, atol=1e-6)
    power = 2 if norm == "l2" else 1
    together = sum(s**power for _, _, s in found) ** (1 / power)
    torch.testing.assert_close(together, size, rtol=1e-6, atol=1e-6)
    for name, tensor in whole.items():
        gradient = torch.cat([own[name].grad for own in parts])
        torch.testing.assert_close(gradient, tensor.grad, rtol=1e-5, atol=1e-6)
