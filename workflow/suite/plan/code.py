"""Which code a result depends on: the import closure of modules, and its fingerprint.

What decides is content. Modules are read as syntax trees, so that comments, docstrings, formatting
and the time or place of a file change nothing, and every other edit changes the fingerprint of
all that imports the module, directly or not, and of nothing else. Where an edit has been proven
to change no bit of a result (tests/prove_equal.py), the new code keeps the fingerprint of the old.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]

# Where the packages lie, below ROOT.
_PACKAGES = {"leap": "leap", "baselines": "baselines", "suite": "workflow/suite"}

# Proofs of equality: commits, what was compared, and new fingerprints with the old ones.
PROOFS = Path(__file__).with_name("equal_code.yaml")

# What surrounds a job and decides no result: logs, GPUs and tracking; downloads, whose
# content is compared with what was asked for; containers, whose content has a checksum; checks.
_OUTSIDE = (
    "suite.jobs",
    "suite.tracking",
    "suite.sources.hub",
    "suite.sources.lm_eval_tasks",
    "suite.sources.pypi",
    "suite.sources.mirror",
    "suite.sources.revisions",
    "suite.artifacts.arrays",
    "suite.artifacts.files",
    "suite.artifacts.recorded",
    "suite.artifacts.tensors",
)


def fingerprint(*modules: str, data: Iterable[Path] = ()) -> str:
    """SHA-256, shortened, over the syntax trees of the modules' import closure and over `data`.

    `data` are files, or folders with all their files, that the code reads and that come with it.
    Raises ValueError for a module that does not exist.
    """
    return oldest(_fingerprint(frozenset(modules), tuple(sorted(data))))


def oldest(code: str) -> str:
    """The oldest fingerprint whose results are proven to be the same bits as those of `code`."""
    known = _proven()
    while code in known:
        code = known[code]
    return code


@cache
def _proven() -> dict[str, str]:
    proofs = yaml.safe_load(PROOFS.read_text()) or []
    return {new: old for proof in proofs for new, old in proof["same_bits"].items()}


def closure(*modules: str) -> list[str]:
    """The modules and all that they import of this repository, by name. Imports for types and what
    decides no result are left out.

    Raises ValueError for a module that does not exist.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or _is_outside(name):
            continue
        if _file(name) is None:
            raise ValueError(f"there is no module {name}")
        found.add(name)
        waiting += _read(name)[1]
    return sorted(found)


def exists(module: str) -> bool:
    """Whether there is a module of this name in the repository."""
    return _file(module) is not None


@cache
def _fingerprint(modules: frozenset[str], data: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for name in closure(*modules):
        digest.update(f"{name} {_read(name)[0]}\n".encode())
    for file in (file for place in data for file in _files(place)):
        digest.update(f"{file.relative_to(ROOT)} ".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's syntax tree, and the modules of this repository that it imports."""
    file = _file(module)
    assert file is not None  # see closure
    tree = ast.parse(file.read_bytes(), str(file))
    imported = tuple(dict.fromkeys(_imports(tree)))
    parts: list[str] = []
    _write(tree, parts)
    return hashlib.sha256("".join(parts).encode()).hexdigest(), imported


@cache
def _file(module: str) -> Path | None:
    """The module's source, or the package's; None for what is not of this repository."""
    package, _, rest = module.partition(".")
    if package not in _PACKAGES:
        return None
    place = ROOT / _PACKAGES[package] / rest.replace(".", "/")
    candidates = [place / "__init__.py", *([place.with_name(place.name + ".py")] if rest else [])]
    return next((file for file in candidates if file.is_file()), None)


def _is_outside(module: str) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in _OUTSIDE)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    inside = sorted(file for file in place.rglob("*") if file.is_file())
    return [file for file in inside if "__pycache__" not in file.parts]


def _imports(tree: ast.AST) -> Iterator[str]:
    """Modules of this repository that a tree imports, anywhere but for types."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if _file(name.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                inside = f"{node.module}.{name.name}"
                if _file(inside) or _file(node.module):
                    yield inside if _file(inside) else node.module


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements inside a node, but for those that only type checkers see."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, field, None)
        for child in children if isinstance(children, list) else []:
            if not _is_for_types(child):
                yield child
                yield from _statements(child)


def _is_for_types(node: ast.AST) -> bool:
    tested = node.test if isinstance(node, ast.If) else None
    return isinstance(tested, ast.Name) and tested.id == "TYPE_CHECKING"


def _write(node: ast.AST, parts: list[str]) -> None:
    """Append a tree as text, without places, docstrings and what is empty."""
    parts.append(f"({type(node).__name__}")
    for field in node._fields:
        value: Any = getattr(node, field, None)
        if field == "body" and _has_docstring(node):
            value = value[1:]
        if value is None or value == []:
            continue
        parts.append(f" {field}=")
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                _write(item, parts)
            else:
                parts.append(f"{item!r},")
    parts.append(")")


def _has_docstring(node: ast.AST) -> bool:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
