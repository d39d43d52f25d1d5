"""Downloads of a scale, listed from its settings."""

from leap_suite.plan.config import load
from leap_suite.plan.downloads import of_hub


def downloads(scale: str, **overrides) -> dict:
    return of_hub(load({"scale": scale, "hub_mirror": "", **overrides}))


def rows(found: dict) -> dict:
    return {(text["hub"], text["split"]): text["rows"] for text in found["texts"]}


def test_the_grid_decides_what_is_downloaded():
    paper, workstation = downloads("paper"), downloads("workstation")
    assert [source["hub"]["id"] for source in paper["models"]][:2] == [
        "Qwen/Qwen2.5-0.5B", "google/gemma-3-1b-pt",
    ]  # fmt: skip
    training, whole = ("DKYoon/SlimPajama-6B", "train"), ("Salesforce/wikitext", "test")
    assert rows(paper) == {("allenai/c4", "train"): 20000, training: 0, whole: 0}
    commit = load({"scale": "paper", "hub_mirror": ""})["evaluation"]["tasks"]["mmlu"]["revision"]
    assert {"task": "mmlu", "dataset": "cais/mmlu", "revision": commit} in paper["tasks"]
    assert workstation["models"] == paper["models"][:3]
    assert workstation["tasks"] == paper["tasks"]
    assert rows(workstation) == {**rows(paper), training: 100_000}  # of 5.5 million rows
    for scale in ("smoke", "mini"):
        assert downloads(scale) == {"models": [], "texts": [], "tasks": []}


def test_the_training_corpus_is_downloaded_for_those_who_read_it():
    def texts(method: str, **methods) -> int:
        return len(downloads("paper", grid={"methods": [method]}, methods=methods)["texts"])

    assert texts("wanda") == 2  # the training corpus is 24 GB
    assert texts("wanda", wanda={"calibration": {"corpus": "training", "sequences": 512}}) == 3
    lent = {"like": "admm", "allocation": {"from": "leap"}}  # densities of a trained method
    assert texts("wanda", mine=lent) == 2
    assert texts("mine", mine=lent) == 3
    assert texts("leap-reconstruct") == 3  # masks that are learned on it


def test_a_text_of_several_corpora_has_the_rows_of_all():
    def of_c4(**corpora) -> tuple[int, int]:
        found = rows(downloads("laptop", corpora={k: {"text": v} for k, v in corpora.items()}))
        return found["allenai/c4", "train"], found["allenai/c4", "validation"]

    assert of_c4() == (4000, 2000)
    assert of_c4(validation={"skip": 1900}) == (4000, 2900)
    assert of_c4(in_domain={"documents": 0}) == (4000, 0)
    other = {"revision": "1" * 40, "skip": 1900}
    found = downloads("laptop", corpora={"validation": {"text": other}})["texts"]
    two = [text for text in found if text["split"] == "validation"]
    assert [text["rows"] for text in two] == [2900, 2000] and two[0]["revision"] == "1" * 40
