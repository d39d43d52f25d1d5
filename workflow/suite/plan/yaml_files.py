"""YAML files read strictly: a key that is written twice is refused."""

from pathlib import Path
from typing import Any

import yaml


class ConfigError(ValueError):
    """A setting that cannot be used; the message names its key and the fix."""


# libyaml's loader where PyYAML has it: planning and every cluster job read some fifty files
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):
    """Refuses a key that is written twice, of which YAML would silently keep the last."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if key.value != "<<"]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(
            f"{node.start_mark.name}, line {node.start_mark.line + 1}: "
            f"{', '.join(twice)} is set twice; set it once"
        )
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        with open(path) as file:
            return yaml.load(file, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
