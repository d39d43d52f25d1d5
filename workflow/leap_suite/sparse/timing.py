"""Seconds and memory of text generation, from dense or sparse weights of one checkpoint.

Each measurement is a process of its own, with its own peak memory.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite.stages.models import load_model

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_REPEATS = 3  # of the first token, in a process
_CONTEXT = 16  # tokens before the generated ones


@dataclass(frozen=True)
class Settings:
    """prompt: tokens before the first one. tokens: of a generated text. batches: of texts."""

    prompt: int
    tokens: int
    batches: tuple[int, ...]
    threads: int
    device: str


def timed(folder: Path, way: str, settings: Settings) -> dict[str, Any]:
    """Measure a checkpoint in a new process; `way` is one of `WAYS`.

    `first_token_seconds` are those of the prompt, None where it would take minutes;
    `tokens_per_second`, by batch, are those of all its texts together, without their first tokens;
    `peak_bytes` are what loading and generating added to the process, or allocated on the GPU.
    CSR is in float32, the only type in which torch has it on CPUs.
    """
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as pool:
        return pool.submit(_measure, folder, way, settings).result()


def _measure(folder: Path, way: str, settings: Settings) -> dict[str, Any]:
    import torch

    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    before = 0 if settings.device == "cuda" else _resident_bytes()
    model = WAYS[way](folder, settings.device)
    size = model.config.get_text_config().vocab_size
    ids = torch.randint(size, (max(settings.batches), settings.prompt), device=settings.device)
    with torch.inference_mode():
        return {
            "first_token_seconds": _first_token_seconds(model, ids[:1]) if _is_fit(way) else None,
            "tokens_per_second": {
                str(batch): _speed(model, ids[:batch, :_CONTEXT], settings.tokens)
                for batch in settings.batches
            },
            "peak_bytes": _peak_bytes(settings.device) - before,
            "parameter_bytes": _stored_bytes(model),
        }


def _is_fit(way: str) -> bool:
    """Whether many tokens at once are no ordeal: torch's slow way in bfloat16 takes minutes."""
    import torch

    fast = torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return way not in ("bfloat16", "own kernel") or fast


def _first_token_seconds(model: "PreTrainedModel", ids: "Tensor") -> float:
    runs = [_times(model, ids, 1) for _ in range(_REPEATS + 1)]
    return statistics.median(times[1] - times[0] for times in runs[1:])


def _speed(model: "PreTrainedModel", ids: "Tensor", tokens: int) -> float:
    _times(model, ids, 2)  # warms up
    _, first, *_, last = _times(model, ids, 1 + tokens)
    return len(ids) * tokens / (last - first)


def _times(model: Any, ids: "Tensor", tokens: int) -> list[float]:
    """Seconds at which a text begins and has each of its tokens."""
    import torch
    from transformers.generation.streamers import BaseStreamer

    class Clock(BaseStreamer):
        def put(self, value: "Tensor") -> None:  # has left the GPU, so that nothing is pending
            times.append(time.perf_counter())

        def end(self) -> None:
            pass

    times: list[float] = []
    length = {"min_new_tokens": tokens, "max_new_tokens": tokens}
    everything = torch.ones_like(ids)  # no padding
    model.generate(ids, attention_mask=everything, do_sample=False, pad_token_id=0, **length,
                   streamer=Clock())  # fmt: skip
    return times


def _resident_bytes() -> int:
    """Peak resident memory of this process so far."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # not ru_maxrss, which begins with that of the process that started this one
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _peak_bytes(device: str) -> int:
    import torch

    return torch.cuda.max_memory_allocated() if device == "cuda" else _resident_bytes()


def _stored_bytes(model: "PreTrainedModel") -> int:
    """Bytes of parameters and buffers, tied ones once."""
    return sum({t.data_ptr(): t.nbytes for t in model.state_dict().values()}.values())


def _bfloat16(folder: Path, device: str) -> "PreTrainedModel":
    return load_model(folder, "bfloat16", device)


def _own_kernel(folder: Path, device: str) -> "PreTrainedModel":
    from torch import nn

    from leap_suite.sparse.dense import like

    model = _bfloat16(folder, device)
    for name, linear in list(model.named_modules()):
        if type(linear) is nn.Linear:
            model.set_submodule(name, like(linear))
    return model


def _packed(folder: Path, device: str) -> "PreTrainedModel":
    from leap_suite.sparse.loading import load

    return load(folder, device).bfloat16()


def _float32(folder: Path, device: str) -> "PreTrainedModel":
    return load_model(folder, "float32", device)


def _csr(folder: Path, device: str) -> "PreTrainedModel":
    from leap.model.layers import prunable_linears
    from leap_suite.sparse.csr import CsrLinear

    model = load_model(folder, "float32", device)
    for name, linear in prunable_linears(model).items():
        model.set_submodule(name, CsrLinear(linear))
    return model


def _rounded(folder: Path, device: str, bits: int, group: int) -> "PreTrainedModel":
    from leap.model.layers import prunable_linears
    from leap_suite.sparse.rounded import RoundedLinear, can_hold

    model = load_model(folder, "bfloat16", device)
    linears = prunable_linears(model)
    held = [name for name, linear in linears.items() if can_hold(linear, bits, group)]
    if not held:
        raise ValueError(f"no layer has a shape that torch can hold in {bits} bits: leave "
                         f"rounding-{bits} out of the grid, or its speed unmeasured")  # fmt: skip
    for name in held:
        model.set_submodule(name, RoundedLinear(linears[name], bits, group))
    return model


WAYS: Mapping[str, Callable[[Path, str], "PreTrainedModel"]] = {
    "bfloat16": _bfloat16,
    "own kernel": _own_kernel,
    "bitmask": _packed,
    "float32": _float32,
    "csr": _csr,
    "8 bits": partial(_rounded, bits=8, group=0),
    "4 bits": partial(_rounded, bits=4, group=64),
}
