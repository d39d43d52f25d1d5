"""What a stage's code is: all that it imports, and all that those import, inside functions too."""

import ast
from functools import cache
from pathlib import Path

import pytest

from baselines.registry import module_name
from suite.plan.config import known_methods, method_schema
from suite.plan.methods import rule_folders

ROOT = Path(__file__).parents[3]
TRAINED = [name for name in known_methods() if method_schema(name).get("trained")]
LEARNED = [name for name in TRAINED if not method_schema(name)["changes_weights"]]  # masks
LAYER_WISE = [name for name in known_methods() if name not in {*TRAINED, *rule_folders()}]
# what methods with patterns or tiles have in common
SHARED_BY_PATTERNS = {"leap.methods.patterns", "leap.methods.patch.tiles"}


def file_of(module: str) -> Path | None:
    """The file of one of our modules."""
    place = Path(*module.split("."))
    files = [root / end for root in (ROOT, ROOT / "workflow")
             for end in (place.with_suffix(".py"), place / "__init__.py")]  # fmt: skip
    return next((file for file in files if file.is_file()), None)


@cache
def imported(file: Path) -> set[str]:
    """Every name that an import statement of this file could mean."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}: a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def closure(*modules: str) -> set[str]:
    """These modules and all of ours that they reach, packages above them included."""
    found: set[str] = set()
    left = list(modules)
    while left:
        name = left.pop()
        file = None if name in found or not name else file_of(name)
        if file is None:
            continue
        found.add(name)
        left += [name.rpartition(".")[0], *imported(file)]
    return found


def below(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


def test_the_walk_finds_what_functions_import_and_what_those_reach():
    found = closure("suite.stages.train")
    assert {
        "leap.training.masks",
        "leap.model.gated",
        "leap.settings",
        "suite.stages",
        "leap",
    } <= found
    assert "leap.methods.leap.selection" in closure(
        "leap.methods.patch.selection", "baselines.whole_model"
    )


@pytest.mark.parametrize("method", LEARNED)
def test_training_reaches_no_selection_and_no_method_but_its_own(method):
    own = f"leap.methods.{method}"
    found = closure("suite.stages.train", own)
    assert below("leap.selection", found) | below("leap.selection", found) == set()
    assert below("leap.methods", found) == {"leap.methods", own}


def test_leaps_training_reaches_neither_patterns_nor_tiles():
    found = closure("suite.stages.train", "leap.methods.leap.gate")
    assert found & SHARED_BY_PATTERNS == set()
    assert "leap.methods.patch.tiles" not in closure("suite.stages.train", "leap.methods.maskllm")


def test_a_training_of_weights_reaches_no_mask_that_is_learned_and_none_of_those_it():
    found = closure("suite.stages.train_weights")
    assert {"leap.methods.elsa", "leap.training.trainer", "leap.distributed.topk"} <= found
    assert below("leap.selection", found) | below("leap.methods", found) == set()
    assert {"leap.training.masks", "leap.model.gated", "leap.training.objective"} & found == set()
    assert {"leap.methods.elsa", "leap.distributed.topk"} & closure("suite.stages.train") == set()


@pytest.mark.parametrize("method", LEARNED)
def test_selection_reaches_no_training(method):
    found = closure("suite.stages.binarise", f"leap.selection.{method}")
    assert {"leap.training.masks", "leap.model.gated", "leap.training.objective"} & found == set()


@pytest.mark.parametrize("method", LAYER_WISE)
def test_layer_wise_pruning_reaches_no_selection_of_learned_masks(method):
    found = closure("suite.stages.prune", "baselines.sequential", module_name(method))
    assert below("leap.selection", found) | below("leap.methods", found) == set()
    others = {module_name(name) for name in LAYER_WISE if name != method}
    assert others & found == set()
    assert ("baselines.hessian" in found) == (method in ("sparsegpt", "thanos", "admm"))
