"""HTML pages: names from records are shown as text, and only the scripts and styles of this package run."""

import base64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from skiplab.analysis.figures.svg_definitions import Definitions
from skiplab.printable import printable

_FOLDER = Path(__file__).parent


def rendered(template: str, version: str = "", definitions: Definitions | None = None, **content: Any) -> str:
    """The template as a page with its own style and script, which the page's policy allows by their hashes.

    Args:
        template: a file beside this one.
        version: of a page that is served, which may ask its server for a newer one; '' for a file.
        definitions: what the page's drawings share.
        content: what the template shows; `title` is the page's.
    """
    definitions = definitions or Definitions()
    style = (_FOLDER / "page.css").read_text(encoding="utf-8") + definitions.css
    scripts = ("filters.js", "sort.js", "print.js", *(["reload.js"] if version else []))
    script = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in scripts)
    return (
        _templates()
        .get_template(template)
        .render(
            version=version,
            policy=Markup(_policy(style, script, served=bool(version))),
            style=Markup(style),
            script=Markup(script),
            definitions=definitions.svg,
            **content,
        )
    )


@cache
def _templates() -> jinja2.Environment:
    """It keeps what it compiled, which takes longer than a small page."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
    )


def _policy(style: str, script: str, *, served: bool) -> str:
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        **({"connect-src": "'self'"} if served else {}),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
