"""Repositories of the Hugging Face Hub, in its cache (HF_HOME) or in a mirror folder."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from leap_suite.artifacts.files import read_json, sha256
from leap_suite.jobs.job import causes

MIRROR_VARIABLE = "HUB_MIRROR"
UNKNOWN = "unknown (from a mirror)"  # commit of a data set in a mirror

# Files of a model's repository that are downloaded: no pickles and no code.
CHECKPOINT_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "tokenizer*"]
LEFT_OUT = ["*.bin", "*.pt", "*.py"]
INDEX = "model.safetensors.index.json"


def mirror() -> Path | None:
    """Folder of the environment variable HUB_MIRROR, or None for the Hub itself."""
    value = os.environ.get(MIRROR_VARIABLE)
    return Path(value).resolve() if value else None


def locate(repository: str) -> str:
    """Argument of `from_pretrained` or `load_dataset` for a repository: its id or mirror folder.

    Raises ValueError if there is a mirror without this repository.
    """
    root = mirror()
    if root is None:
        return repository
    if not (root / repository).is_dir():
        raise ValueError(
            f"hub_mirror: {root} has no folder {repository}: add it, laid out as on the Hub, or "
            "unset hub_mirror (and HUB_MIRROR) to use the Hub"
        )
    return str(root / repository)


def cache_of(place: str, commit: str | None = None) -> str:
    """Cache of `datasets` for a local folder in its present state, or a Hub data set at a commit.

    The default cache distinguishes folders by name and card alone, so that it returns the rows of
    another folder or of an earlier state, and without network those of another commit.
    """
    from datasets.config import HF_DATASETS_CACHE

    files = sorted(file for file in Path(place).rglob("*") if file.is_file()) if not commit else []
    state = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    name = hashlib.sha256(repr([place, commit, state]).encode()).hexdigest()[:16]
    return f"{HF_DATASETS_CACHE}/leap-suite/{name}"


def download(model: Mapping[str, str]) -> str:
    """Checkpoint of a model in the Hub's cache, downloaded if necessary, with intact files.

    Raises ValueError as `checkpoint` does, and for a damaged file.
    """
    refuse_damage(folder := checkpoint(model))
    return str(folder)


def checkpoint(model: Mapping[str, str], offline: bool = False) -> Path:
    """Checkpoint of a model (`id`, `revision`) in the mirror or the Hub's cache.

    It is downloaded to the cache unless `offline`. Raises ValueError if it is unavailable or
    incomplete.
    """
    name = model["id"]
    if mirror():
        folder = Path(locate(name))
    else:
        folder = snapshot(name, model["revision"], CHECKPOINT_FILES, offline=offline)
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    if (folder / INDEX).is_file():
        shards = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
        lacking += [shard for shard in shards if not (folder / shard).is_file()]
    elif not any(folder.glob("*.safetensors")):
        lacking.append("*.safetensors")
    if lacking:
        raise ValueError(
            f"{name} is no usable checkpoint: {folder} lacks {', '.join(lacking)} (pickled weights "
            "are not loaded)"
        )
    return folder


def snapshot(
    repository: str,
    revision: str,
    files: Sequence[str],
    kind: str = "model",
    offline: bool = False,
) -> Path:
    """Folder in the Hub's cache with some files (patterns) of a repository at a revision.

    They are downloaded unless they are there or `offline`. Raises ValueError if they are
    unavailable.
    """
    from huggingface_hub import snapshot_download

    with reaching(repository):
        folder = snapshot_download(
            repository,
            repo_type=kind,
            revision=revision,
            allow_patterns=[*files],
            ignore_patterns=LEFT_OUT,
            local_files_only=offline,
        )
    return Path(folder)


def refuse_damage(snapshot: Path) -> None:
    """Raise ValueError for a file whose content does not match the hash in its name.

    The Hub's cache names files by their SHA-256, or small ones by the SHA-1 of git.
    """
    for file in sorted({file.resolve() for file in snapshot.rglob("*") if file.is_file()}):
        if re.fullmatch("[0-9a-f]{64}", file.name):
            found = sha256(file)
        elif re.fullmatch("[0-9a-f]{40}", file.name):
            content = file.read_bytes()
            found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        else:
            continue
        if found != file.name:
            raise ValueError(f"{file} is damaged: delete it and run `snakemake prefetch`")


def commit_of(dataset: str, pinned: str | None) -> str | None:
    """Commit of a data set to load: the pinned or the newest one; None for a mirror.

    Without network the newest is the last one in the Hub's cache; raises ValueError if there is
    none.
    """
    if mirror() is not None:
        return None
    if pinned:
        return pinned
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with reaching(dataset):
        try:
            return Path(hf_hub_download(dataset, "README.md", repo_type="dataset")).parent.name
        except RemoteEntryNotFoundError:
            return HfApi().dataset_info(dataset).sha


@contextmanager
def reaching(repository: str) -> Iterator[None]:
    """Replace the many errors of a missing network or permission by one that names the fix."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        names = {type(cause).__name__ for cause in causes(error)}
        if names & _ACCESS_ERRORS:
            raise ValueError(
                f"the Hub gives no access to {repository}: check its name and revision; if it is "
                "gated, accept its licence on its page and export HF_TOKEN"
            ) from None
        if names & _NETWORK_ERRORS:
            raise ValueError(
                f"{repository} is not available: the Hub cannot be reached, and the cache in "
                "HF_HOME lacks it or a part of it. Where there is network access, run `snakemake "
                "--cores 1 prefetch` with this HF_HOME and the --config of this run; or name a "
                "local copy by the setting hub_mirror (for leap-suite by HUB_MIRROR=DIR)"
            ) from None
        raise


_ACCESS_ERRORS = {"GatedRepoError", "RepositoryNotFoundError", "RevisionNotFoundError"}
_NETWORK_ERRORS = {
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "LocalEntryNotFoundError",
    "IncompleteSnapshotError",
    "MaxRetryError",
    "NameResolutionError",
    "OfflineModeIsEnabled",
}
