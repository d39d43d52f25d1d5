"""A mapping whose values are made when they are asked for, and not kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class Lazily(Mapping[str, Value]):
    """`make(name)` for each of these names, in their order."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Value]) -> None:
        self.names = dict.fromkeys(names)
        self.make = make

    def __getitem__(self, name: str) -> Value:
        if name not in self.names:
            raise KeyError(name)
        return self.make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
