"""One cell's pruning with a layer-wise method: model and calibration in, weights and mask out.

Writes `weights.safetensors` (the prunable layers' new weights), `mask.safetensors` and
`pruning.json` (method, settings, seed, corpus, cost).
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suite import corpora, models
from suite.files import replacing, write_json
from suite.job import progress
from suite.masks import save_masks
from suite.provenance import Meter, choose_device, compute_setting


def prune(
    model_directory: Path,
    calibration: Path,
    method_name: str,
    settings: Mapping[str, Any],
    sparsity: float,
    batch: int,
    outputs: Mapping[str, str],
) -> dict[str, float]:
    """Prune and write the three outputs; return what the job cost, for its journal.

    `batch` is the number of calibration sequences that go through a block together.
    """
    import torch
    from safetensors.torch import save_file

    from baselines import registry
    from baselines.sequential import prune_model
    from leap.layers import prunable_linears

    meter = Meter()
    method = registry.load(method_name)
    chosen = registry.make_settings(method, method_name, settings)
    device = choose_device()
    dtype = models.describe(model_directory)["dtype"]
    model = models.load_model(models.checkpoint_path(model_directory), dtype, device)
    blocks_ST, corpus = corpora.read(calibration)
    _check_context(model, corpus["length"])
    batches = torch.from_numpy(blocks_ST).long().to(device).split(batch)
    pruned = prune_model(model, method, chosen, sparsity, batches, progress)
    weights = {
        f"{name}.weight": linear.weight.detach().cpu().contiguous()
        for name, linear in prunable_linears(model).items()
    }
    with replacing(outputs["weights"]) as temporary:
        save_file(weights, temporary)
    save_masks(pruned.masks, outputs["mask"])
    cost = meter.read()
    write_json(
        outputs["report"],
        {
            "method": method_name,
            "settings": asdict(chosen),
            "calibration": {**corpus, "batch": batch},
            **compute_setting(dtype, device),
            "cost": cost,
            "events": pruned.events,
        },
    )
    return cost


def _check_context(model: Any, length: int) -> None:
    context = getattr(model.config, "max_position_embeddings", length)
    if length > context:
        raise ValueError(
            f"corpora.calibration.length is {length}, but the model's context is {context} tokens: "
            "set a shorter length"
        )
