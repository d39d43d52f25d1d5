"""Recipes: everything that decides a result, as plain values: settings and fingerprints of code.

A rule has the recipe of its output among its params, and the job writes the recipe into the output.
A reader of the output compares it with the recipe of the current run, so that a file made with
other settings or other code is refused by name, also where Snakemake has no record of it.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from baselines.registry import driver, module_name
from leap_suite.places import PACKAGE
from leap_suite.plan.calibration import corpus_of
from leap_suite.plan.cell import Cell
from leap_suite.plan.code import fingerprint
from leap_suite.plan.config import MINIATURES
from leap_suite.plan.grid import taken_masks
from leap_suite.plan.methods import mask_learners, methods_that_are, pattern_of, rule_folders
from leap_suite.plan.tasks import asked
from leap_suite.plan.world import has_generated_tasks

Recipe = dict[str, Any]

_TASKS = PACKAGE / "miniature/tasks"
_KERNELS = [PACKAGE / "sparse" / name for name in ("kernel.cpp", "dense.cpp")]
_DOCUMENTS = "leap_suite.sources.texts:documents"


class Recipes:
    """Recipes of a run, from its settings (see `leap_suite.plan.config.load`)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.trained = methods_that_are("trained", settings)
        self.selected = mask_learners(settings)
        self.stochastic = methods_that_are("stochastic", settings)
        # of results computed with torch, whose bits may depend on it
        self.computing = {"deterministic": True} if settings.get("deterministic") else {}
        # the same parts occur in many cells
        self.model = cache(self._model)
        self.corpus = cache(self._corpus)
        self.masks = cache(self._masks)

    def world(self) -> Recipe:
        """Recipe of the miniature world."""
        return {"code": fingerprint("leap_suite.miniature.dataset:write_world")}

    def _model(self, name: str) -> Recipe:
        """Recipe of a dense checkpoint, without its licence, which only readers need."""
        settings = self.settings["models"][name]
        miniature = settings["source"].get("miniature")
        # how a miniature was trained is for readers only
        files = (MINIATURES / miniature).iterdir() if miniature else []
        data = [file for file in files if file.name != "recipe.json"]
        data += [MINIATURES / "tokenizer"] if miniature else []
        chosen = {key: settings[key] for key in ("source", "dtype", "bos")}
        return {**chosen, "code": fingerprint("leap_suite.stages.models:prepare", data=data)}

    def _corpus(self, name: str) -> Recipe:
        """Recipe of a corpus' token blocks, without the batch size of later stages."""
        recipe = {k: v for k, v in self.settings["corpora"][name].items() if k != "batch"}
        if "miniature" in recipe["text"]:
            recipe["world"] = self.world()
        return {**recipe, "code": fingerprint("leap_suite.stages.corpora:build", _DOCUMENTS)}

    def _masks(self, cell: Cell) -> Recipe:
        """Recipe of a method's output: weights and masks, or logits."""
        implementation = self.settings["implementations"][cell.method]
        own = self.settings["methods"][cell.method]
        recipe: Recipe = {
            "implementation": implementation,
            "sparsity": cell.sparsity,
            **({"seed": cell.seed} if cell.method in self.stochastic else {}),
            "pattern": pattern_of(implementation, own),
            "model": self.model(cell.model),
        }
        if cell.method in self.trained:
            # the selection of masks does not change the logits
            recipe["method"] = {key: value for key, value in own.items() if key != "selection"}
            recipe["training"] = self.corpus("training")
            taken = taken_masks(self.settings, cell)
            for name, other in taken.items():
                kept = name == "mask_from"
                recipe[name] = self._mask(other) if kept else self.masks(other)
            module = f"leap.methods.{implementation}"
            if cell.method in self.selected:
                roots = ["leap_suite.stages.train:train_masks", f"{module}:from_settings"]
            else:
                own_roots = [f"{module}:Settings", f"{module}:learn_weights"]
                roots = ["leap_suite.stages.train:train_weights", *own_roots]
            code = fingerprint(*roots)
            recipe |= self.computing
        else:
            recipe["method"] = dict(own)
            for name, other in taken_masks(self.settings, cell).items():
                recipe[name] = self._mask(other)
            recipe["calibration"] = self.corpus(corpus_of(own))
            recipe["batch"] = self.settings["corpora"]["calibration"]["batch"]
            if implementation not in rule_folders():
                recipe |= self.computing
            code = _layer_wise_code(implementation, own)
        return {**recipe, "code": code}

    def _mask(self, cell: Cell) -> Recipe:
        """Recipe of a method's mask."""
        selected = cell.method in self.selected
        selection = {"selection": self.selection(cell)} if selected else {}
        return {"masks": self.masks(cell), **selection}

    def selection(self, cell: Cell) -> Recipe:
        """Recipe of the mask selected from learned logits."""
        implementation = self.settings["implementations"][cell.method]
        return {
            "rule": self.settings["methods"][cell.method]["selection"],
            "code": fingerprint(
                "leap_suite.stages.binarise:binarise", f"leap.methods.{implementation}"
            ),
        }

    def checkpoint(self, cell: Cell) -> Recipe:
        """Recipe of the hardened checkpoint with its mask."""
        recipe = {"masks": self.masks(cell)}
        if cell.method in self.selected:
            recipe["selection"] = self.selection(cell)
        return {**recipe, "code": fingerprint("leap_suite.stages.harden:harden")}

    def _checkpoint_read(self, cell: Cell) -> Recipe:
        """Recipe of the evaluated checkpoint; empty for the dense model."""
        return {} if cell == Cell.dense(cell.model) else self.checkpoint(cell)

    def validation(self, cell: Cell) -> Recipe:
        """Recipe of a validation perplexity."""
        return {
            "model": self.model(cell.model),
            "checkpoint": self._checkpoint_read(cell),
            "validation": self.corpus("validation"),
            "batch_tokens": self.settings["evaluation"]["batch_tokens"],
            **self.computing,
            "code": fingerprint("leap_suite.stages.validate:validate"),
        }

    def speed(self, cell: Cell) -> Recipe:
        """Recipe of a measurement of speed."""
        asked = {key: value for key, value in self.settings["speed"].items() if key != "grid"}
        return {
            "model": self.model(cell.model),
            "checkpoint": self._checkpoint_read(cell),
            "speed": asked,
            "code": fingerprint("leap_suite.sparse.measure:measure", data=_KERNELS),
        }

    def evaluation(self, cell: Cell) -> Recipe:
        """Recipe of an evaluation, including all upstream recipes."""
        corpora = self.settings["corpora"]
        evaluation = self.settings["evaluation"]
        # not in recipes of evaluations without it, which are older than it
        asks = {k: v for k, v in evaluation.items() if k != "divergence" or v}
        tasks = {name: asked(task) for name, task in evaluation["tasks"].items()}
        generated = has_generated_tasks(self.settings)
        data = [_TASKS] if generated else []
        return {
            "model": self.model(cell.model),
            "checkpoint": self._checkpoint_read(cell),
            **{name: self.corpus(name) for name in ("perplexity", "in_domain") if name in corpora},
            "evaluation": {**asks, "tasks": tasks},
            **self.computing,
            "code": fingerprint("leap_suite.stages.evaluate:evaluate", data=data),
            **({"world": self.world()} if generated else {}),
        }


def _layer_wise_code(implementation: str, settings: Mapping[str, Any]) -> str:
    """Fingerprint of a layer-wise method and its driver, or of all files of a foreign method."""
    folder = rule_folders().get(implementation)
    if folder is not None:
        return fingerprint("leap_suite.stages.adopt:adopt", data=[folder])
    parts = (implementation, driver(settings))
    return fingerprint("leap_suite.stages.prune:prune", *map(module_name, parts))


def fingerprint_of(recipes: Mapping[str, Recipe]) -> str:
    """Short hash of the recipes of many results, for what is made of all of them."""
    return hashlib.sha256(json.dumps(recipes, sort_keys=True).encode()).hexdigest()[:16]


def synthetic_note(settings: Mapping[str, Any]) -> str:
    """Note for figures and pages where models or tasks are synthetic, or ""."""
    sources = [settings["models"][name]["source"] for name in settings["grid"]["models"]]
    models = "miniature models" if any("miniature" in source for source in sources) else ""
    tasks = "generated tasks" if has_generated_tasks(settings) else ""
    return ", ".join(filter(None, [models, tasks])).capitalize()
