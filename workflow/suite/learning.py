"""One cell's training: model, corpus and prior mask in, logits out.

Writes `logits.safetensors` (float32, by layer name) and `training.json` (settings, corpus, cost).
Several processes may run this together, started by torchrun; the first one writes.
"""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suite import corpora, models
from suite.files import write_json
from suite.masks import load_masks, mask_hash
from suite.provenance import Meter, choose_device, compute_setting
from suite.runs import open_run
from suite.tensors import save_tensors
from suite.watch import Watch

_OF_THE_SUITE = ("warm_start",)


def learn(
    model_directory: Path,
    corpus: Path,
    prior: Path | None,
    cell: Mapping[str, Any],
    values: Mapping[str, Any],
    state: Path,
    outputs: Mapping[str, str],
) -> None:
    """Train the cell's masks, or finish a training whose state is in the folder `state`.

    Writes the outputs `logits`, `report` and `journal`, then deletes the state. Raises ValueError
    for unusable settings, data or states (see `leap.learn_masks`).
    """
    import torch

    import leap
    from leap import parallel

    meter = Meter()
    parallel.start()
    first = parallel.rank() == 0
    settings = leap.Settings(
        sparsity=float(cell["sparsity"]),
        seed=cell["seed"],
        **{key: value for key, value in values.items() if key not in _OF_THE_SUITE},
    )
    with open_run(outputs["journal"], "train", cell, values) if first else nullcontext() as run:
        device = choose_device()
        # a model to be split moves to the GPUs part by part
        place = "cpu" if parallel.splits(settings.sharding) else device
        dtype = models.describe(model_directory)["dtype"]
        model = models.load_model(models.intact_checkpoint(model_directory), dtype, place)
        blocks_ST, described = corpora.read(corpus)
        masks = load_masks(prior) if prior else None
        watch = Watch(settings.steps, run)
        learned = leap.learn_masks(
            model, torch.from_numpy(blocks_ST), settings, masks, state=state,
            report=watch.report,
        )  # fmt: skip
        if run is None:
            return
        save_tensors(learned.logits, outputs["logits"])
        # the steps of all attempts, where the job was interrupted
        cost = {**meter.read(), "training_seconds": round(watch.seconds, 3)}
        write_json(
            outputs["report"],
            {
                "method": cell["method"],
                "settings": {**asdict(settings), "warm_start": values["warm_start"]},
                "layers": list(learned.logits),
                "training": described,
                "prior_mask_sha256": mask_hash(masks) if masks else "",
                "processes": parallel.processes(),
                **compute_setting(dtype, device),
                "cost": cost,
                "events": [],
            },
        )
        run.metrics(cost)
        run.artifact(outputs["report"])
    shutil.rmtree(state, ignore_errors=True)
