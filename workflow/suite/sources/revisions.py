"""Which commit of a hub data set is read, and what results say of it."""

from collections.abc import Iterable

from suite.sources.hub import mirror, reaching
from suite.sources.mirror import manifest as mirror_manifest

UNKNOWN = "unknown (from a mirror)"


def to_load(dataset: str, pinned: str | None) -> str | None:
    """The commit to ask the hub for: the pinned one, or what is the newest now.

    None with a mirror, which has one of its own. Raises ValueError where the hub cannot be asked.
    """
    if mirror() is not None:
        return None
    if pinned:
        return pinned
    from huggingface_hub import HfApi

    with reaching(dataset):
        return HfApi().dataset_info(dataset).sha


def recorded(commit: str | None, splits: Iterable[str]) -> str:
    """The commit that was loaded, or the one that the mirror's manifest names for these splits.

    `splits` are prefixes of paths (see `suite.sources.mirror.manifest.split_prefix`).
    """
    if commit is not None:
        return commit
    root = mirror()
    return (mirror_manifest.revision(root, splits) if root else None) or UNKNOWN
