"""What the SVGs of a page share, each once: markers, clip paths, styles."""

import re
from xml.etree import ElementTree

from markupsafe import Markup

Element = ElementTree.Element

_FONT = re.compile(r"font-family: [^;]*;? ?")  # text has the page's font
_REFERENCE = re.compile(r"url\(#(.*)\)")


class Definitions:
    """Collects definitions and styles of SVGs and gives them names that are unique on a page.

    They stand in an SVG of their own that is never hidden: what refers to a marker in a hidden panel would vanish.
    """

    def __init__(self) -> None:
        self._named: dict[str, Element] = {}
        self._classes: dict[str, str] = {}

    def take(self, root: Element) -> None:
        """Move an SVG's definitions and styles here, and let it refer to them."""
        for element in root.iter():
            if style := _FONT.sub("", element.attrib.pop("style", "")):
                element.set("class", self._classes.setdefault(style, f"s{len(self._classes)}"))
        names: dict[str | None, str] = {}
        for parent in list(root.iter()):
            for defs in parent.findall("defs"):
                parent.remove(defs)
                names |= {own.get("id"): self._name(own) for own in list(defs) if own.tag != "style"}
        for element in root.iter():
            if (target := element.get("href", "").removeprefix("#")) in names:
                element.set("href", f"#{names[target]}")
            if found := _REFERENCE.fullmatch(element.get("clip-path", "")):
                element.set("clip-path", f"url(#{names[found[1]]})")

    def _name(self, definition: Element) -> str:
        definition.attrib.pop("id", None)
        content = ElementTree.tostring(definition, encoding="unicode")
        if content not in self._named:
            definition.set("id", f"d{len(self._named)}")
            self._named[content] = definition
        return self._named[content].get("id", "")

    @property
    def svg(self) -> Markup:
        """All definitions, for the body of the page."""
        named = "".join(ElementTree.tostring(each, encoding="unicode") for each in self._named.values())
        return Markup(f'<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>{named}</defs></svg>')

    @property
    def css(self) -> str:
        """All styles, for the head of the page."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self._classes.items())
