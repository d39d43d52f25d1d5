"""Milliseconds of one token times one matrix: packed, dense, and in torch's sparse format.

    python tests/benchmarks/packed_product.py [--threads 2] [--repeats 15] [--device cpu]

Matrices have the shapes of the paper's models and random masks; copies of each are used in turn, so
that none stays in a cache. `packed` and, on a CPU, `dense` are the products of `leap_suite.sparse`;
`torch` is its own product in bfloat16 (on a GPU cuBLAS) or float32; CSR is in float32 with 32-bit
indices. All ways take turns. Times are medians, with the interquartile range in percent; the last
column has bytes a second, to compare with a copy's in the first line.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from leap_suite.sparse import cpu, gpu
from leap_suite.sparse.container import packed_matrix

SHAPES = ((4096, 4096), (8192, 2048), (14336, 4096))
SPARSITIES = (0.5, 0.6)
OUT_OF_CACHE = 400e6  # bytes of all copies of a dense matrix

Way = Sequence[Callable[[], Tensor]]  # the same product of every copy


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    on_cpu = options.device == "cpu"
    print(f"{cpu.instructions() if on_cpu else torch.cuda.get_device_name()}, "
          f"{options.threads} threads, copy {_copy_speed(options.device):.0f} GB/s\n")  # fmt: skip
    headings = ["matrix", "zeros", "packed", *(_DENSE if on_cpu else _DENSE_GPU), "dense / packed"]
    print(f"| {' | '.join([*headings, 'torch / packed', 'packed, GB/s'])} |")
    print("|---|---:|" + "---:|" * len(headings))
    for shape in SHAPES:
        for sparsity in SPARSITIES:
            _print_row(shape, sparsity, options)


_DENSE = ("dense bfloat16", "torch bfloat16", "torch float32", "CSR float32")
_DENSE_GPU = ("torch bfloat16",)


def _print_row(shape: tuple[int, int], sparsity: float, options: argparse.Namespace) -> None:
    rows, columns = shape
    copies = max(2, round(OUT_OF_CACHE / (2 * rows * columns)))
    token = torch.randn(1, columns).bfloat16().to(options.device)
    weights = [_pruned(rows, columns, sparsity) for _ in range(copies)]
    packed = [
        [
            packed_matrix("", w, w != 0)[part].to(options.device)
            for part in ("mask", "starts", "kept")
        ]
        for w in weights
    ]
    product = cpu.linear if options.device == "cpu" else gpu.linear
    ways: dict[str, Way] = {"packed": [lambda p=p: product(token, *p) for p in packed]}
    ways |= _dense_ways(token, [weight.to(options.device) for weight in weights])
    times = measured(ways, options)
    medians = {name: statistics.median(of_way) for name, of_way in times.items()}
    best = min(
        seconds for name, seconds in medians.items() if name not in ("packed", "CSR float32")
    )
    own = min(seconds for name, seconds in medians.items() if name.startswith("torch"))
    size = sum(part.nbytes for part in packed[0])
    cells = [f"{1e3 * medians[name]:.3f} ± {_spread(times[name]):.0f} %" for name in medians]
    cells += [f"{best / medians['packed']:.2f}", f"{own / medians['packed']:.2f}"]
    cells.append(f"{size / medians['packed'] / 1e9:.1f}")
    print(f"| {rows} x {columns} | {sparsity:.0%} | {' | '.join(cells)} |", flush=True)


def _dense_ways(token: Tensor, weights: Sequence[Tensor]) -> Mapping[str, Way]:
    linear = torch.nn.functional.linear
    ways: dict[str, Way] = {"torch bfloat16": [lambda w=w: linear(token, w) for w in weights]}
    if token.is_cuda:
        return ways
    column = token.float().T.contiguous()
    few = weights[: max(2, len(weights) // 2)]  # float32 takes twice the bytes
    csr = [_csr(weight) for weight in few]
    return {
        "dense bfloat16": [lambda w=w: cpu.dense(token, w) for w in weights],
        **ways,
        "torch float32": [lambda w=w: linear(column.T, w) for w in [w.float() for w in few]],
        "CSR float32": [lambda m=m: m @ column for m in csr],
    }


def measured(ways: Mapping[str, Way], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds a product, by way, of every repeat: one pass over all copies, and one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats + 1):
        for name, products in ways.items():
            start = time.perf_counter()
            for product in products:
                product()
            if options.device != "cpu":
                torch.cuda.synchronize()
            seconds[name].append((time.perf_counter() - start) / len(products))
    return {name: of_way[1:] for name, of_way in seconds.items()}


def _spread(seconds: Sequence[float]) -> float:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return 100 * (high - low) / middle


def _pruned(rows: int, columns: int, sparsity: float) -> Tensor:
    weight_OI = torch.randn(rows, columns).bfloat16()
    return weight_OI.masked_fill_(torch.rand(rows, columns) < sparsity, 0)


def _csr(weight_OI: Tensor) -> Tensor:
    sparse = weight_OI.float().to_sparse_csr()
    rows, columns = sparse.crow_indices().int(), sparse.col_indices().int()
    return torch.sparse_csr_tensor(rows, columns, sparse.values(), sparse.shape)


def _copy_speed(device: str) -> float:
    """Bytes read and written, in GB/s, by copies of 400 MB."""
    source = torch.zeros(int(OUT_OF_CACHE), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    options = argparse.Namespace(repeats=9, device=device)
    seconds = measured({"copy": [lambda: target.copy_(source)]}, options)["copy"]
    return 2 * source.nbytes / statistics.median(seconds) / 1e9


if __name__ == "__main__":
    main()
