"""Calibration text of layer-wise methods.

It is the corpus `calibration`, or with the setting `calibration: {corpus: training, sequences: N}`
the first N sequences of the text that learned methods train on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

DEFAULT = "calibration"


def corpus_of(method: Mapping[str, Any]) -> str:
    """Calibration corpus of a method with these settings."""
    return method.get("calibration", {}).get("corpus", DEFAULT)


def size_of(method: Mapping[str, Any], corpora: Mapping[str, Any]) -> tuple[int, int]:
    """Number of calibration sequences, and tokens per sequence."""
    corpus = corpora[corpus_of(method)]
    sequences = method.get("calibration", {}).get("sequences", corpus["sequences"])
    return sequences, corpus["length"]


def problems(settings: Mapping[str, Any], places: Mapping[str, str]) -> Iterator[str]:
    """Methods with missing or too little calibration text, one line each.

    `places` has the setting with the number of sequences, by method. Only the job knows the length
    of a corpus of all text (`sequences: 0`).
    """
    corpora = settings["corpora"]
    for name, place in places.items():
        method = settings["methods"][name]
        corpus = corpus_of(method)
        if corpus not in corpora:
            yield f"corpora.{corpus}: must be set, since {name} is calibrated on it"
            return
        wanted, held = size_of(method, corpora)[0], corpora[corpus]["sequences"]
        if 0 < held < wanted:
            limit = f"corpora.{corpus}.sequences, {held}"
            yield f"{place}: {wanted} exceeds {limit}: lower it, or raise the latter"
