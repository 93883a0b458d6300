"""The shell lines of a document: what stands indented or in a fenced block and begins with a command."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = ("skiplab", "make", "python", "wandb", "pip", ".", ".venv/bin/python")
_SHELLS = ("bash", "sh", "shell", "console")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^(?:    )?(?:PYTHONPATH=\S+ )?(?P<program>\S+)(?: .*)?$")
_INLINE = re.compile(r"`((?:skiplab|make|python|wandb) [^`]+)`")
_NAME = re.compile(r"skiplab (?!doctor)\w+")
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]{2,}\b")


class ShellLine(NamedTuple):
    """A line of a document: its text, and its words without comments and settings of the environment."""

    document: str
    text: str

    @property
    def words(self) -> list[str]:
        return [word for word in shlex.split(self.text, comments=True) if not word.startswith("PYTHONPATH=")]


def shell_lines(path: Path) -> list[ShellLine]:
    """In the order in which they stand."""
    text = _FENCED.sub(lambda found: "" if found[1] not in _SHELLS else found[0], path.read_text(encoding="utf-8"))
    lines = [found for found in map(_LINE.match, text.splitlines()) if found and found["program"] in _PROGRAMS]
    return [ShellLine(str(path.relative_to(ROOT)), found[0].strip()) for found in lines]


def fenced(path: Path, language: str | None = None) -> list[str]:
    """The contents of a document's fenced blocks, of one language unless that is None."""
    found = _FENCED.finditer(path.read_text(encoding="utf-8"))
    return [block[2] for block in found if language in (None, block[1])]


def inline_commands(path: Path) -> list[ShellLine]:
    """Commands within sentences that can be typed as they stand; a placeholder, or a bare name, can't."""
    text = " ".join(_FENCED.sub("", path.read_text(encoding="utf-8")).split())
    found = [ShellLine(str(path.relative_to(ROOT)), command) for command in dict.fromkeys(_INLINE.findall(text))]
    return [line for line in found if not (_PLACEHOLDER.search(line.text) or _NAME.fullmatch(line.text))]
