"""Rule corpus: token blocks of one corpus for one model."""

from pathlib import Path

from suite.jobs.job import job, use_threads


def main() -> None:
    """Tokenise and write the blocks."""
    from suite.sources import texts
    from suite.stages import corpora, models

    recipe, model = snakemake.params.recipe, Path(snakemake.input.model).parent
    models.check_context(model, snakemake.wildcards.corpus, recipe["length"])
    text = recipe["text"]
    if "miniature" in text:
        text = {"file": Path(snakemake.input.world).parent / f"text/{text['miniature']}.jsonl"}
    text = texts.fixed(text)
    corpora.build(
        recipe,
        texts.documents(text),
        models.load_tokenizer(model),
        models.describe(model)["bos"],
        Path(snakemake.output[0]),
        texts.source(text),
    )


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()
