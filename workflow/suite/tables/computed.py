"""In what dtype a result was computed, and with which versions of packages, as its files record it.

Neither is a setting: a CPU without bfloat16 computes in float32, and packages are upgraded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.cell import Cell

UNKNOWN = "unknown"  # what was not recorded
_EVALUATING, _HARDENING = ("torch", "transformers", "lm-eval"), ("torch", "transformers")


@dataclass(frozen=True)
class Computed:
    """The dtype that was computed in, and versions by package."""

    dtype: str = UNKNOWN
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def packages(self) -> str:
        """The versions in one line: "torch 2.13.0, transformers 5.23.0"."""
        return ", ".join(f"{name} {version}" for name, version in self.versions.items())


def of_evaluation(provenance: Mapping[str, Any]) -> Computed:
    """Of an evaluation, from its provenance."""
    return Computed(str(provenance.get("dtype", UNKNOWN)), _versions(provenance, _EVALUATING))


def read_pruned(manifests: Sequence[Path]) -> dict[Cell, Computed]:
    """Of pruned cells: the dtype of their pruning or training, the versions of their hardening.

    Pruning itself records no versions. Raises ValueError for a damaged file.
    """
    found = {}
    for manifest in map(read_json, manifests):
        place = manifest["model"], manifest["method"], manifest["target_sparsity"]
        found[Cell.at(*place, manifest["seed"])] = _of_manifest(manifest)
    return found


def _of_manifest(manifest: Mapping[str, Any]) -> Computed:
    pruning = manifest["pruning"]
    # A method with a rule of its own has no device there, and its dtype is that of the weights
    # that it handed over: what it computed in is not recorded.
    dtype = str(pruning.get("dtype", UNKNOWN)) if "device" in pruning else UNKNOWN
    return Computed(dtype, _versions(manifest, _HARDENING))


def _versions(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    recorded = record.get("packages", {})
    return {name: str(recorded.get(name, UNKNOWN)) for name in names}
