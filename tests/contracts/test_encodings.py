"""Files are written and read as UTF-8, whatever the locale says: every text that is opened names its encoding."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from option_files import PACKAGE

ROOT = PACKAGE.parents[1]
SOURCES = sorted(path for name in ("src", "experiments", "benchmarks") for path in (ROOT / name).rglob("*.py"))
TEXT_METHODS = {"read_text", "write_text"}
CALLS_OF_PROGRAMS = {"run", "Popen", "check_output"}


def without_encoding(source: str) -> Iterator[int]:
    """The lines that open a text in the locale's encoding."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and not {"encoding", None} & {word.arg for word in node.keywords}:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            words = {word.arg: word.value for word in node.keywords}
            if (
                name in TEXT_METHODS
                or (name in ("open", "fdopen") and _opens_text(node, words))
                or (name in CALLS_OF_PROGRAMS and {"text", "universal_newlines"} & words.keys())
            ):
                yield node.lineno


def _opens_text(call: ast.Call, words: dict[str | None, ast.expr]) -> bool:
    """Whether a call of `open` opens a file as text; `path.open` begins with its mode, other things named so don't."""
    owner = getattr(getattr(call.func, "value", None), "id", None)
    if owner == "os" and call.func.attr == "open":
        return False
    place = 1 if isinstance(call.func, ast.Name) or owner in ("io", "os") else 0
    mode = words.get("mode", call.args[place] if len(call.args) > place else ast.Constant("r"))
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and "b" not in mode.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_names_its_encoding(path: Path) -> None:
    assert not list(without_encoding(path.read_text(encoding="utf-8"))), f"{path} opens a text without encoding="


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text()",
        "path.read_text(errors='replace')",
        "path.write_text(text)",
        "path.open()",
        "path.open('a+')",
        "path.open(mode='w')",
        "open(path)",
        "open(path, 'w')",
        "io.open(path)",
        "os.fdopen(number)",
        "subprocess.run(words, text=True)",
    ],
)
def test_a_text_without_encoding_is_found(call: str) -> None:
    assert list(without_encoding(call)) == [1]


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text(encoding='utf-8')",
        "path.open('rb')",
        "path.open(mode='ab+')",
        "open(path, 'wb')",
        "open(path, encoding='utf-8')",
        "connection.open(stream)",
        "os.open(path, os.O_RDONLY)",
        "subprocess.run(words)",
    ],
)
def test_what_needs_no_encoding_is_left_alone(call: str) -> None:
    assert not list(without_encoding(call))
