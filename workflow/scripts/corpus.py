"""Rule corpus: token blocks of one corpus for one model."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, use_threads

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Tokenise and write the blocks."""
    from suite.sources import texts
    from suite.stages import corpora, models

    settings = snakemake.params.settings
    models.check_context(snakemake.input.model, snakemake.wildcards.corpus, settings["length"])
    text = texts.fixed(snakemake.params.text)
    corpora.build(
        settings,
        texts.documents(text),
        models.load_tokenizer(snakemake.input.model),
        models.describe(snakemake.input.model)["bos"],
        Path(snakemake.output[0]),
        texts.source(text),
    )


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()
