"""Rule validate: perplexity of one checkpoint on the validation corpus."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Load the checkpoint and write its perplexity."""
    from suite.artifacts.files import write_json
    from suite.jobs.provenance import choose_device
    from suite.stages import corpora, models
    from suite.stages.perplexity import perplexity

    inputs, params = snakemake.input, snakemake.params
    dtype = models.describe(inputs.model)["dtype"]
    checkpoint = Path(inputs.hardened[0]).parent
    model = models.load_model(checkpoint, dtype, choose_device())
    windows_ST, corpus = corpora.read(inputs.validation)
    quality = perplexity(model, windows_ST, params.batch)
    write_json(snakemake.output[0], {**params.cell, "perplexity": quality, "corpus": corpus})


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        main()
