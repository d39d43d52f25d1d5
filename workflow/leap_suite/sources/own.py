"""Settings of models that are named by a Hub id or a folder alone, before any validation.

`model: Qwen/Qwen2.5-0.5B` (or `owner/name@revision`, or a folder in Hugging Face layout) is the
model of the grid, and a `source` under `models` may be such a text. Commit, dtype, BOS and context
are determined once and recorded, so that all jobs and later runs of a results folder agree.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.plan.config import merge, scale_settings
from leap_suite.plan.studies import KINDS
from leap_suite.plan.validation import ConfigError
from leap_suite.sources.hub import snapshot

SCALE = "own"

_ID = r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*"
_DESCRIBING = ["*.json", "tokenizer*"]  # all of a checkpoint but its weights


def completed(
    settings: Mapping[str, Any], results: Path = Path("results")
) -> tuple[dict[str, Any], set[str]]:
    """Overrides for `config.load`, completed from the models that they name; explicit ones win.

    Second, the names of models whose `bos` was taken from the tokenizer. Raises ValueError, in one
    line, for an unusable model, and if the Hub cannot be reached.
    """
    model = str(settings.get("model") or "")
    asked = {name: v["source"] for name, v in _part(settings, "models").items() if _is_text(v)}
    below: dict[str, Any] = {}
    if model:
        name = path_name(model)
        asked[name] = model
        models: dict[str, Any] = {"models": [name]}
        studies = scale_settings(settings.get("scale")).get("studies", {}).items()
        below = {
            "run": f"{settings['scale']}-{name}",
            "grid": models,
            "studies": {
                s: {kind: models for kind in KINDS if kind in study} for s, study in studies
            },
        }
    elif settings.get("scale") == SCALE and "models" not in _part(settings, "grid"):
        raise ConfigError("model: must be set at scale own: model=Qwen/Qwen2.5-0.5B, or a folder")
    if not asked:
        return dict(settings), set()
    run = settings.get("run") or below.get("run") or settings["scale"]
    found = _found(asked, results / str(run) / "found.json", settings.get("hub_mirror", ""))
    chosen = ("source", "dtype", "bos")
    below["models"] = {name: {key: facts[key] for key in chosen} for name, facts in found.items()}
    below["corpora"] = _shortened(settings, min(facts["context"] for facts in found.values()))
    models = {**_part(settings, "models")}
    for name in asked:
        models[name] = {k: v for k, v in _part(models, name).items() if k != "source"}
    derived = {name for name in asked if "bos" not in models[name]}
    return merge(below, {**settings, "models": models}), derived


def path_name(model: str) -> str:
    """Name of a model in paths and tables: the last part of its id or folder."""
    last = Path(model).resolve().name if Path(model).is_dir() else re.split("[/@]", model)[1:2]
    return re.sub(r"[^a-z0-9._-]", "-", "".join(last).lower()).lstrip("._-") or "model"


def _part(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Section of the settings, or an empty one if the validation will refuse it."""
    part = settings.get(key)
    return part if isinstance(part, Mapping) else {}


def _is_text(model: Any) -> bool:
    return isinstance(model, Mapping) and isinstance(model.get("source"), str)


def _found(asked: Mapping[str, str], record: Path, mirror: str) -> dict[str, dict[str, Any]]:
    """Facts about the models by name, from the record or determined now and recorded."""
    known: dict[str, Any] = read_json(record) if record.is_file() else {}
    found = {m: known[m] for m in asked.values() if m in known and _is_current(known[m])}
    if lacking := {model: _describe(model, mirror) for model in {*asked.values()} - found.keys()}:
        write_json(record, {**known, **lacking})
    return {name: {**found, **lacking}[model] for name, model in asked.items()}


def _is_current(facts: Mapping[str, Any]) -> bool:
    """Whether a folder is unchanged since the facts were recorded; a commit always is."""
    folder = facts["source"].get("path")
    return folder is None or _stamp(Path(folder)) == facts["files"]


def _describe(model: str, mirror: str) -> dict[str, Any]:
    """Source, dtype, BOS and context (tokens) of a model, without reading its weights."""
    folder, source = _place(model, mirror)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"model: {model} holds no config.json: it is in no Hugging Face layout")
    config = read_json(folder / "config.json")
    config = {**config, **config.get("text_config", {})}
    return {
        "source": source,
        "dtype": config.get("dtype") or config.get("torch_dtype") or "float32",
        "bos": _begins_with_bos(model, folder),
        "context": config.get("max_position_embeddings") or 1 << 30,
        "files": _stamp(folder),
    }


def _place(model: str, mirror: str) -> tuple[Path, dict[str, Any]]:
    """Folder of the files that describe a model, and its `source` in the settings."""
    if Path(model).is_dir():
        return Path(model), {"path": model}
    name, _, revision = model.partition("@")
    if not re.fullmatch(_ID, name):
        raise ConfigError(f"model: {model} is neither a folder nor owner/name, as on the hub")
    if not mirror:
        folder = snapshot(name, revision or "main", _DESCRIBING)
        return folder, {"hub": {"id": name, "revision": folder.name}}  # named after the commit
    folder = Path(mirror) / name
    if not folder.is_dir():
        raise ConfigError(f"hub_mirror: {mirror} has no folder {name}: add it, as on the hub")
    if revision:
        return folder, {"hub": {"id": name, "revision": revision}}
    return folder, {"path": str(folder)}  # a mirror does not say of which commit it is


def _begins_with_bos(model: str, folder: Path) -> bool:
    """Whether the tokenizer itself prepends BOS to every text, as lm-eval then does."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        ids = tokenizer("the").input_ids
    except Exception as error:  # of many types, for missing or foreign files
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"model: {model} has no tokenizer that can be loaded: {reason}") from None
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def _shortened(settings: Mapping[str, Any], context: int) -> dict[str, Any]:
    """Lengths of the scale's corpora that exceed the context, reduced to it."""
    return {
        name: {"length": context}
        for name, corpus in _part(scale_settings(settings.get("scale")), "corpora").items()
        if corpus["length"] > context
    }


def _stamp(folder: Path) -> str:
    """SHA-256 over the files that describe a model."""
    digest = sha256()
    for file in sorted({file for pattern in _DESCRIBING for file in folder.glob(pattern)}):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
