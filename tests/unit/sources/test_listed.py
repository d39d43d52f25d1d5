"""The list of documents against the files of a mirror."""

import csv
import gzip
import hashlib

import pandas as pd

from leap_suite.sources.listed import write_documents
from leap_suite.sources.texts import documents
from tests.conftest import ROOT


def listed(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_rows_are_those_that_corpora_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror/owner/stories"
    folder.mkdir(parents=True)
    rows = [{"text": f"story {n}\né", "url": f"https://a/{n}"} for n in range(6)]
    pd.DataFrame(rows).to_parquet(folder / "train.parquet")
    text = {"hub": "owner/stories", "name": "", "split": "train", "column": "text"}
    head, rest = {**text, "documents": 2}, {**text, "documents": 3, "skip": 2}
    corpora = {"calibration": {"text": head}, "training": {"text": head},
               "validation": {"text": rest}, "world": {"text": {"miniature": "train"}}}  # fmt: skip
    write_documents(corpora, tmp_path / "a.csv.gz")
    found = listed(tmp_path / "a.csv.gz")
    assert [int(row["row"]) for row in found] == [0, 1, 2, 3, 4], "a text of two corpora once"
    assert [row["sha256"] for row in found] == [
        digest(document) for part in (head, rest) for document in documents(part)
    ]
    assert found[4]["url"] == "https://a/4" and found[4]["timestamp"] == ""
    write_documents(corpora, tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_the_claims_documents_are_tracked():
    found = pd.DataFrame(listed(ROOT / "results/examples/claim/documents.csv.gz"))
    counts = found.groupby(["hub", "split"]).size().to_dict()
    assert counts == {
        ("Salesforce/wikitext", "test"): 4358,
        ("allenai/c4", "train"): 2112,
        ("allenai/c4", "validation"): 2000,
    }
    c4 = found[found["hub"] == "allenai/c4"]
    assert not c4["sha256"].duplicated().any(), "no document is both trained on and reported"
