"""The stages of one model in a temporary folder, as the Snakefile runs them."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import sha256
from leap_suite.plan.calibration import corpus_of
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load, merge
from leap_suite.plan.grid import taken_masks
from leap_suite.plan.methods import mask_learners, methods_that_are
from leap_suite.plan.recipe import Recipes
from leap_suite.sources import own, texts
from leap_suite.stages import binarise, bos, corpora, execution, models, prune, train

Files = dict[str, str]

_WEIGHTS = {"weights": "weights.safetensors", "report": "pruning.json"}
_LOGITS = {"logits": "logits.safetensors", "report": "training.json", "choice": "choice.json"}


class Bench:
    """Results of stages for one model in `folder`, with scale own and `overrides`."""

    def __init__(self, folder: Path, overrides: Mapping[str, Any]) -> None:
        """Raises ConfigError for invalid settings."""
        scale = {"scale": own.SCALE, "hub_mirror": os.environ.get("HUB_MIRROR", "")}
        asked, self._derived = own.completed(merge(scale, overrides), folder)
        self.settings = load(asked)
        (self.name,) = self.settings["grid"]["models"]
        self.folder, self.model = folder, folder / "model"
        self._text = Path()

    def prepare(self, corpus: str, text: Path | None = None) -> None:
        """Fetch the model and check its BOS setting on the text of a corpus.

        A file of plain `text` replaces the methods' text, with as many sequences at most. Raises
        ValueError for an invalid model or text.
        """
        models.prepare(Recipes(self.settings).model(self.name), self.model)
        self.tokenizer = models.load_tokenizer(self.model)
        self.bos = models.describe(self.model)["bos"]
        if text is not None:
            self._take(text)
        self.recipes = Recipes(self.settings)
        if self._derived:
            documents = self._documents(self.settings["corpora"][corpus]["text"])
            bos.check(self.model, documents, "say --bos or --no-bos")

    def corpus(self, name: str) -> Path:
        """File with the token blocks of a corpus."""
        file, recipe = self.folder / f"{name}.safetensors", self.recipes.corpus(name)
        if not file.exists():
            source = texts.fixed(recipe["text"])
            found = self._documents(source), self.tokenizer, self.bos
            corpora.build(recipe, *found, file, texts.source(source))
        return file

    def pruned(self, cell: Cell) -> Files:
        """Files of a method for `harden`, after those of its lenders of masks."""
        taken = {k: self.pruned(other) for k, other in taken_masks(self.settings, cell).items()}
        masks = {setting: Path(files["mask"]) for setting, files in taken.items()}
        if "weights" in taken.get("mask_from", {}):
            masks["weights_from"] = Path(taken["mask_from"]["weights"])
        folder, learns = self.folder / cell.path, cell.method in mask_learners(self.settings)
        names = {"mask": "mask.safetensors", **(_LOGITS if learns else _WEIGHTS)}
        files = {name: str(folder / file) for name, file in names.items()}
        if not folder.exists():
            folder.mkdir(parents=True)
            trained = cell.method in methods_that_are("trained", self.settings)
            (self._train if trained else self._prune)(cell, masks, files)
        return files

    def _prune(self, cell: Cell, masks: Mapping[str, Path], files: Files) -> None:
        corpus = self.corpus(corpus_of(self.settings["methods"][cell.method]))
        prune.prune(self.model, corpus, cell, self.recipes.masks(cell), files, masks)

    def _train(self, cell: Cell, masks: Mapping[str, Path], files: Files) -> None:
        kind, folder = self.settings["implementations"][cell.method], self.folder / cell.path
        executions = execution.candidates(kind, cell.method, self.settings)
        outputs = {**files, "journal": str(folder / "journal.jsonl")}
        place = cell, self.settings["run"], self.recipes.masks(cell), folder / "state"
        training = train.Training(self.model, self.corpus("training"), *place, executions, outputs)
        if "logits" not in files:
            train.train_weights(training, masks)
            return
        train.train_masks(training, masks)
        made = Path(files["logits"]), Path(files["report"]), masks.get("sparse_masks")
        binarise.binarise(*made, kind, self.recipes.selection(cell), files)

    def _take(self, text: Path) -> None:
        """Replace calibration and training text by consecutive windows of `text`."""
        self._text = text
        (whole,) = self._documents({"file": text})
        tokens = len(self.tokenizer(whole, add_special_tokens=False, verbose=False)["input_ids"])
        for name in ("calibration", "training"):
            corpus = self.settings["corpora"][name]
            fits = tokens // (corpus["length"] - self.bos)
            if not fits:
                needs = f"fewer than the {corpus['length']} of a sequence"
                raise ValueError(f"--text: {text} has {tokens} tokens, {needs}: give more")
            corpus |= {"packing": "joined", "sequences": min(fits, corpus["sequences"])}
            corpus["text"] = {"file": text.name, "sha256": sha256(text)}
            corpus.pop("seed", None)

    def _documents(self, source: Mapping[str, Any]) -> Iterable[str]:
        return [self._text.read_text("utf-8")] if "file" in source else texts.documents(source)
