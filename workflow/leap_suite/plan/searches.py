"""Searches that chose the settings of a study's methods, and the number of settings they tried."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leap_suite.plan import studies
from leap_suite.plan.validation import unknown_name


def trials(name: str, settings: Mapping[str, Any]) -> dict[str, int]:
    """Number of distinct settings that a study's `searches` tried, by method."""
    searches = studies.section(name, settings).get("searches", {})
    return {method: len(_tried(method, listed, settings)) for method, listed in searches.items()}


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Unknown methods and studies in `searches`, and studies that are no search of the method."""
    for name in studies.names(settings):
        for method, listed in studies.section(name, settings).get("searches", {}).items():
            place = f"studies.{name}.searches.{method}"
            if method not in settings["methods"]:
                yield f"{place}: there is no method {unknown_name(method, settings['methods'])}"
                continue
            for search in listed:
                if search not in studies.names(settings):
                    known = unknown_name(search, studies.names(settings))
                    yield f"{place}: there is no study {known}"
                elif studies.section(search, settings)["measure"] != "validation":
                    yield f"{place}: {search} does not measure validation; name a search"
                elif not _tried(method, [search], settings):
                    yield f"{place}: {search} is no search of {method}; name another"


def _tried(
    method: str, searches: Sequence[str], settings: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Distinct settings of a method and its variants in these studies."""
    kinds = settings["implementations"]
    found: list[Mapping[str, Any]] = []
    for search in searches:
        for name, values in studies.methods_of(search, settings).items():
            if kinds[name] == kinds[method] and values not in found:
                found.append(values)
    return found
