"""Metrics that a study has not measured: which option of skiplab measures them, or that none does."""

import ast
import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from skiplab.analysis.runs import Study
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_PACKAGE = Path(__file__).resolve().parents[1]
_AXES = ("evaluator", "instrument")


@cache
def declared() -> dict[str, str]:
    """Who measures each metric that an option of skiplab declares, such as 'evaluator=[frechet]'; the first of several.

    Read from the options' sources, so that no torch is loaded.
    """
    found: dict[str, str] = {}
    for axis in _AXES:
        for path in sorted((_PACKAGE / f"{axis}s").glob("*.py")):
            for name in _declared_in(path):
                found.setdefault(name, f"{axis}=[{path.stem}]")
    return found


def _declared_in(path: Path) -> list[str]:
    """The keys of every `metrics: ClassVar[...] = {...}` in a file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    tables = [
        node.value
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "metrics"
    ]
    return [key.value for table in tables if isinstance(table, ast.Dict) for key in table.keys]


def not_measured(name: str) -> str:
    """That nothing is there to compare, and what to add."""
    by = declared().get(name)
    return f"{name} was not measured{f'; {by} measures it' if by else ''}"


def check_measured(study: Study, names: Sequence[str]) -> None:
    """Refuse metrics that no trial of the study has, where a trial is done and no option of skiplab measures them.

    What a trial's own evaluator measures is known when one is done, not before.

    Raises:
        SkiplabError: names the first.
    """
    if (study.trials["status"] == "done").any():
        check_known(names, list(study.metrics), f"in study {printable(study.name)}")


def check_known(names: Sequence[str], own: Sequence[str], where: str) -> None:
    """Refuse metrics that are neither among a trial's own nor declared by an option of skiplab.

    Raises:
        SkiplabError: names the first.
    """
    for name in names:
        if name not in own and name not in declared():
            near = difflib.get_close_matches(name, dict.fromkeys([*own, *declared()]), n=3)
            hint = f"; did you mean {printable(' or '.join(near))}?" if near else ""
            raise SkiplabError(
                f"the claims ask for the metric {printable(name)!r}, which nothing measures; measured {where}: "
                f"{printable(', '.join(own)) or 'none'}{hint}"
            )
