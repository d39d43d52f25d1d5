"""Where hub content comes from: the Hugging Face hub, or a local mirror laid out like it."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from suite.jobs.job import causes
from suite.sources.mirror import manifest as mirror_manifest

MIRROR_VARIABLE = "HUB_MIRROR"

# What of a model's repository is taken: nothing that is pickled, and no code.
CHECKPOINT_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "tokenizer*"]
LEFT_OUT = ["*.bin", "*.pt", "*.py"]


def mirror() -> Path | None:
    """The mirror's folder, from the environment variable HUB_MIRROR, or None for the hub itself."""
    value = os.environ.get(MIRROR_VARIABLE)
    return Path(value).resolve() if value else None


def locate(repository: str) -> str:
    """What to give to `from_pretrained` or `load_dataset` for a hub repository.

    With a mirror, its folder; raises ValueError where the mirror does not hold it, or holds it
    otherwise than the mirror's manifest.json says (if it has one).
    """
    root = mirror()
    if root is None:
        return repository
    folder = root / repository
    if not folder.is_dir():
        raise ValueError(
            f"hub_mirror: {root} has no folder {repository}. Add it to the mirror, laid out as on "
            "the hub, or unset hub_mirror (and HUB_MIRROR) to fetch it from the hub."
        )
    for line in mirror_manifest.damage(root, f"{repository}/", hashes=True):
        raise ValueError(line)
    return str(folder)


def cache_of(place: str) -> str | None:
    """The cache for a data set that `locate` found, as it is now; None for the hub's own.

    `datasets` tells local data sets apart by the folder's name and card alone: from its one cache
    it would hand out the rows of another mirror, or those of before.
    """
    if mirror() is None:
        return None
    from datasets.config import HF_DATASETS_CACHE

    files = sorted(file for file in Path(place).rglob("*") if file.is_file())
    state = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{HF_DATASETS_CACHE}/mirrors/{hashlib.sha256(repr(state).encode()).hexdigest()[:16]}"


def download(model: Mapping[str, str], folder: Path | None = None) -> str:
    """Download a hub model (`id`, `revision`) into `folder`, or the hub's cache; where it lies."""
    from huggingface_hub import snapshot_download

    with reaching(model["id"]):
        return snapshot_download(
            model["id"],
            revision=model["revision"],
            allow_patterns=CHECKPOINT_FILES,
            ignore_patterns=LEFT_OUT,
            local_dir=folder,
        )


@contextmanager
def reaching(repository: str) -> Iterator[None]:
    """Turn the many errors of a missing network into one that says both ways out."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        names = {type(cause).__name__ for cause in causes(error)}
        if names & _ACCESS_ERRORS:
            raise ValueError(
                f"the hub gives no access to {repository}: check its name and revision; if it is "
                "gated, accept its licence on its page and export HF_TOKEN"
            ) from None
        if names & _NETWORK_ERRORS:
            raise ValueError(
                f"{repository} is not available: the Hugging Face hub cannot be reached and "
                "nothing is cached. Either run once where there is network access (what has a "
                "`revision` is then cached), or set hub_mirror: DIR (or the variable HUB_MIRROR) "
                "to a local copy laid out like the hub."
            ) from None
        raise


_ACCESS_ERRORS = {"GatedRepoError", "RepositoryNotFoundError", "RevisionNotFoundError"}
_NETWORK_ERRORS = {
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "NameResolutionError",
    "OfflineModeIsEnabled",
}
