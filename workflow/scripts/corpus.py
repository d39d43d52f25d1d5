"""Rule corpus: token blocks of one corpus for one model."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.sources import texts
        from leap_suite.stages import corpora, models

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
