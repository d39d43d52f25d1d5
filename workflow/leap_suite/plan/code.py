"""Fingerprint of the code that computes a result, definition by definition.

A fingerprint covers the definitions (functions, classes, constants) that its roots reach, and of
these only what computes: docstrings, comments, annotations, imports, assertions, log messages and
the text of errors are left out, and so are the names of modules and files. So code may be moved
between modules and messages reworded. Where an error is raised counts, since a caller may catch it
and compute in another way. Definitions in `_OUTSIDE` are left out, with statements that only call
one. Where an edit has been proven to change no bit of a result (tests/prove_equal.py), the new code
keeps the fingerprint of the old.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from leap_suite.places import PACKAGE, ROOT

PACKAGES = {"leap": ROOT / "leap", "baselines": ROOT / "baselines", "leap_suite": PACKAGE}

# Proofs of equality: commits, what was compared, and new fingerprints with the old ones.
PROOFS = Path(__file__).with_name("equal_code.yaml")

# Packages that compute no number: checkpoints, checks, logs, file formats, downloads (their content
# is compared with the settings), tracking, progress. For miniatures, the miniature world is a root.
_OUTSIDE = (
    "leap.bar",
    "leap.states",
    "leap.checks",
    "leap.execution",
    "leap_suite.artifacts",
    "leap_suite.jobs",
    "leap_suite.miniature",
    "leap_suite.sources.hub",
    "leap_suite.sources.lm_eval_tasks",
    "leap_suite.sources.prefetched",
    "leap_suite.sources.pypi",
    "leap_suite.stages.execution",
    "leap_suite.tracking",
)
_MESSAGES = {"logger", "print", "warnings"}  # names whose calls compute nothing
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Name = tuple[str, str]  # a module, and a definition in it


@dataclass(frozen=True)
class _Module:
    """Top-level definitions, imported names (attribute "" for a module), and other statements."""

    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, Name]
    statements: tuple[ast.stmt, ...]


def fingerprint(*roots: str, data: Iterable[Path] = ()) -> str:
    """Shortened SHA-256 over all definitions that the roots reach, and over `data`.

    A root is "module:name", or "module" for all of its definitions. `data` are files, or folders
    with all their files, that the code reads. Raises ValueError for a root or an imported name that
    does not exist.
    """
    return oldest(_fingerprint(roots, tuple(sorted(data))))


def oldest(code: str) -> str:
    """Oldest fingerprint whose results are proven to be the same bits as those of `code`."""
    return _last(code, _proven())


def closure(*roots: str) -> set[str]:
    """All definitions that the roots reach, as "module:name"."""
    return {":".join(name) for name in _closure(roots)}


@cache
def _proven() -> dict[str, str]:
    """Older fingerprints; of two that one code is proven equal to, the first proof's is older."""
    found: dict[str, str] = {}
    for proof in yaml.safe_load(PROOFS.read_text()) or []:
        for new, old in proof["same_bits"].items():
            known, other = _last(new, found), _last(old, found)
            if known != other:
                found |= {other: known} if new in found else {known: other}
    return found


def _last(code: str, older: Mapping[str, str]) -> str:
    while code in older:
        code = older[code]
    return code


@cache
def _fingerprint(roots: tuple[str, ...], data: tuple[Path, ...]) -> str:
    found = _closure(roots)
    lines = {f"{_hash(name)} {[_hash(other) for other in _references(name)]}" for name in found}
    digest = hashlib.sha256("\n".join(sorted(lines)).encode())
    for place in data:
        for file in _files(place):
            digest.update(f"{place.name} {file.relative_to(place)} ".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _closure(roots: Iterable[str]) -> set[Name]:
    waiting = {name for root in roots for name in _named(root)}
    found: set[Name] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {*_references(name)} - found
    return found


def _named(root: str) -> Iterator[Name]:
    """Definitions of a root, followed to where they are written."""
    module, _, name = root.partition(":")
    if _file(module) is None:
        raise ValueError(f"there is no module {module}")
    read = _read(module)
    for each in [name] if name else [*read.definitions, *read.imports]:
        found = _resolve(module, each)
        # of what a module imports, a package's own parts belong to it
        if found and (name or _is_in(found[0], module)):
            yield found


def _resolve(module: str, name: str) -> Name | None:
    """Module and name of a definition, or (module, "") of a module; None for foreign ones.

    Raises ValueError for a name that a module of this repository does not have.
    """
    inside = f"{module}.{name}" if name else module
    if _file(inside):
        return inside, ""
    if module.partition(".")[0] not in PACKAGES:
        return None
    read = _read(module) if _file(module) else None
    if read and name in read.definitions:
        return module, name
    if read and name in read.imports:
        return _resolve(*read.imports[name])
    raise ValueError(f"{module} has no definition {name}: import it from where it is written")


@cache
def _read(module: str) -> _Module:
    file = _file(module)
    assert file is not None  # asked by all callers
    definitions: dict[str, ast.stmt] = {}
    statements = []
    tree = ast.parse(file.read_bytes(), str(file))
    for node in tree.body:
        names = set(_bound(node))
        definitions |= dict.fromkeys(names, node)
        if not names and not _computes_nothing(node, module, {}):
            statements.append(node)
    return _Module(definitions, _imports(tree.body), tuple(statements))


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a top-level statement defines; none for what only type checkers see."""
    if isinstance(node, _DEFINITIONS):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
    elif not _is_for_types(node):
        for inside in ast.iter_child_nodes(node):
            yield from _bound(inside)


def _imports(nodes: Iterable[ast.AST]) -> dict[str, Name]:
    found: dict[str, Name] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name: (a.name, "") for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return found


@cache
def _references(name: Name) -> list[Name]:
    return _write(*name)[1]


@cache
def _hash(name: Name) -> str:
    return hashlib.sha256(_write(*name)[0].encode()).hexdigest()


@cache
def _write(module: str, name: str) -> tuple[str, list[Name]]:
    """What computes in a definition, as text, and the definitions that it refers to, in order.

    The text has these by number, not by name.
    """
    read = _read(module)
    nodes = [*([read.definitions[name]] if name else []), *read.statements]
    imports = dict(read.imports)  # and those inside functions, once they are reached
    parts: list[str] = []
    found: list[Name] = []

    def referred(node: ast.AST) -> Name | None:
        """The definition that a name, or an attribute of a module, stands for."""
        if isinstance(node, ast.Name):
            if node.id in imports:
                return _resolve(*imports[node.id])
            return (module, node.id) if node.id in read.definitions else None
        if isinstance(node, ast.Attribute):
            owner = referred(node.value)
            if owner and not owner[1] and not node.attr.startswith("__"):
                return _resolve(owner[0], node.attr)
        return None

    def write(node: ast.AST) -> None:
        if target := referred(node):
            if _is_outside(target[0], module):
                parts.append("(outside)")
                return
            # a module as a value stands for all of its definitions
            for each in [target] if target[1] else sorted(_named(target[0])):
                if each not in found:
                    found.append(each)
                parts.append(f"({found.index(each)})")
            return
        parts.append(f"({type(node).__name__}")
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_comment", "ctx") or value in (None, []):
                continue
            if isinstance(node, ast.Raise) and field == "exc" and isinstance(value, ast.Call):
                value = value.func
            parts.append(f" {field}=")
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, ast.AST):
                    parts.append(f"{item!r},")
                elif isinstance(item, ast.Import | ast.ImportFrom):
                    imports.update(_imports([item]))
                elif not _computes_nothing(item, module, imports):
                    write(item)
        parts.append(")")

    for node in nodes:
        write(node)
    return "".join(parts), found


def _computes_nothing(node: ast.AST, module: str, imports: Mapping[str, Name]) -> bool:
    """Imports, docstrings, assertions, messages, and calls of what is outside."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass):
        return True
    if not isinstance(node, ast.Expr):
        return _is_for_types(node)
    value = node.value
    if isinstance(value, ast.Constant):
        return True
    first = value.func if isinstance(value, ast.Call) else value
    while isinstance(first, ast.Attribute):
        first = first.value
    if not (isinstance(value, ast.Call) and isinstance(first, ast.Name)):
        return False
    origin = imports.get(first.id, ("", ""))[0]
    return first.id in _MESSAGES or _is_outside(origin, module)


def _is_for_types(node: ast.AST) -> bool:
    tested = node.test if isinstance(node, ast.If) else None
    return isinstance(tested, ast.Name) and tested.id == "TYPE_CHECKING"


def _is_outside(module: str, seen_from: str) -> bool:
    """Whether a module computes no number; modules of one such package see each other."""
    return any(_is_in(module, package) and not _is_in(seen_from, package) for package in _OUTSIDE)


def _is_in(module: str, package: str) -> bool:
    """Whether a module is this package or a part of it."""
    return f"{module}.".startswith(f"{package}.")


@cache
def _file(module: str) -> Path | None:
    """Source of a module or package; None for what is not of this repository."""
    package, _, rest = module.partition(".")
    if package not in PACKAGES:
        return None
    place = PACKAGES[package] / rest.replace(".", "/")
    candidates = [place / "__init__.py", *([place.with_name(place.name + ".py")] if rest else [])]
    return next((file for file in candidates if file.is_file()), None)


def _files(place: Path) -> list[Path]:
    inside = [place] if place.is_file() else sorted(place.rglob("*"))
    return [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
