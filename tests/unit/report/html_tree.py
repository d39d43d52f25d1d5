"""An HTML document as a tree of elements, and its tables by heading."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = {"meta", "link", "br", "img"}


@dataclass
class Element:
    """A tag with its attributes, elements and texts."""

    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it."""
        parts = (each if isinstance(each, str) else each.text for each in self.children)
        return "".join(parts).strip()

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def walk(self) -> Iterator["Element"]:
        """The elements in it, in the order of the document."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """The elements of a tag; `class_` is one of their classes."""
        wanted = attributes.pop("class_", None)
        return [
            each
            for each in self.walk()
            if each.tag == tag
            and (wanted is None or wanted in each.classes)
            and attributes.items() <= each.attributes.items()
        ]

    def one(self, tag: str, **attributes: str) -> "Element":
        """The only one."""
        (found,) = self.all(tag, **attributes)
        return found

    def rows(self) -> list[dict[str, "Element"]]:
        """Of a table: its body's cells by heading."""
        headings = [heading.text for heading in self.one("thead").all("th")]
        assert len(set(headings)) == len(headings), f"two headings are the same: {headings}"
        return [
            dict(zip(headings, [e for e in row.walk() if e.tag in ("td", "th")], strict=True))
            for row in self.one("tbody").all("tr")
        ]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(text: str) -> Element:
    """The document; AssertionError where a tag is not closed in its order."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    (document,) = parser.open
    return document
