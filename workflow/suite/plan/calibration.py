"""The text that a layer-wise method is calibrated on.

It is the corpus `calibration`, or with the setting `calibration: {corpus: training, sequences: N}`
the first N sequences of the very text that learned methods train on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

DEFAULT = "calibration"


def corpus_of(method: Mapping[str, Any]) -> str:
    """The corpus that a method with these settings is calibrated on."""
    return method.get("calibration", {}).get("corpus", DEFAULT)


def size_of(method: Mapping[str, Any], corpora: Mapping[str, Any]) -> tuple[int, int]:
    """How many sequences that are, and how many tokens each has."""
    corpus = corpora[corpus_of(method)]
    sequences = method.get("calibration", {}).get("sequences", corpus["sequences"])
    return sequences, corpus["length"]


def problems(settings: Mapping[str, Any], places: Mapping[str, str]) -> Iterator[str]:
    """Text that there is not, or not so much of, for these configured methods, one line each.

    `places` are the settings that say how much they are calibrated on, by their names. How much a
    corpus of all text has (`sequences: 0`) is known to the job alone.
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
            more = f"{wanted} are more than there are: lower it"
            yield f"{place}: {more}, or raise corpora.{corpus}.sequences, {held}"
