"""One cell's training: model, corpus and one-shot masks in, logits out.

Writes `logits.safetensors` (float32, by layer and part, see `leap.parameterisation.key`) and
`training.json` (settings, layers with their shapes, corpus, cost).
Several processes may run this together, started by torchrun; the first one writes.
"""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suite.artifacts.files import write_json
from suite.artifacts.masks import mask_hash
from suite.artifacts.tensors import load_masks, save_tensors
from suite.jobs.provenance import Meter, choose_device, compute_setting
from suite.stages import corpora, models
from suite.tracking.run import open_run
from suite.tracking.watch import Watch


def learn(
    model_directory: Path,
    corpus: Path,
    prior: Path | None,
    sparse: Path | None,
    method: str,
    cell: Mapping[str, Any],
    values: Mapping[str, Any],
    state: Path,
    outputs: Mapping[str, str],
) -> None:
    """Train the cell's masks, or finish a training whose state is in the folder `state`.

    `prior` is the file of the masks that the warm start begins with, `sparse` that of PATCH's N:M
    masks. `method` says what is learned of a mask (see `leap.parameterisation`). Writes the
    outputs `logits`, `report` and `journal`, then deletes the state. Raises ValueError for
    unusable settings, data or states (see `leap.training`).
    """
    import torch

    from leap import parallel
    from leap.parameterisation import load
    from leap.settings import trainer_settings
    from leap.training import learn_masks

    meter = Meter()
    parallel.start()
    first = parallel.rank() == 0
    settings = trainer_settings(values, float(cell["sparsity"]), cell["seed"])
    with open_run(outputs["journal"], "train", cell, values) if first else nullcontext() as run:
        device = choose_device()
        # a model to be split moves to the GPUs part by part
        place = "cpu" if parallel.shards(settings.sharding) else device
        dtype = models.describe(model_directory)["dtype"]
        model = models.load_model(models.intact_checkpoint(model_directory), dtype, place)
        blocks_ST, described = corpora.read(corpus)
        masks = load_masks(prior) if prior else None
        sparse_masks = load_masks(sparse) if sparse else None
        watch = Watch(settings.steps, run)
        learned = learn_masks(
            model, torch.from_numpy(blocks_ST), settings, masks,
            parameterisation=load(method).from_settings(values), sparse=sparse_masks,
            state=state, report=watch.report,
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
                "settings": {**values, **asdict(settings)},
                "layers": dict(learned.shapes),
                "training": described,
                "prior_mask_sha256": mask_hash(masks) if masks else "",
                "sparse_mask_sha256": mask_hash(sparse_masks) if sparse_masks else "",
                "processes": parallel.world_size(),
                **compute_setting(dtype, device),
                "cost": cost,
                "events": [],
            },
        )
        run.metrics(cost)
        run.artifact(outputs["report"])
    shutil.rmtree(state, ignore_errors=True)
