"""Metrics that a study has not measured: which option of skiplab measures them, or that none does."""

import ast
import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from skiplab.analysis.study.study import Study
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_PACKAGE = Path(__file__).resolve().parents[2]
_AXES = ("evaluator", "instrument")


@cache
def declared() -> dict[str, dict[str, str]]:
    """Who measures each metric that an option declares, such as 'evaluator=[frechet_distance]', and of what networks.

    Those are named by their objective's class, '' where any will do. Read from the options' sources, so that no torch
    is loaded.
    """
    found: dict[str, dict[str, str]] = {}
    for axis in _AXES:
        for path in sorted((_PACKAGE / f"{axis}s").glob("*.py")):
            names, measures = _declared_in(path)
            objective = "" if axis == "instrument" or measures == "Objective" else measures
            for name in names:
                found.setdefault(name, {})[f"{axis}=[{path.stem}]"] = objective
    return found


def _declared_in(path: Path) -> tuple[list[str], str]:
    """The keys of every `metrics: ClassVar[...] = {...}` in a file, and the objective's class that it measures."""
    assigned = list(_assigned(path))
    tables = [value for name, value in assigned if name == "metrics" and isinstance(value, ast.Dict)]
    measures = [value.id for name, value in assigned if name == "measures" and isinstance(value, ast.Name)]
    return [key.value for table in tables for key in table.keys], next(iter(measures), "Denoising")


def _assigned(path: Path) -> Iterator[tuple[str, ast.expr | None]]:
    """Every annotated name of a file, and what it is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


def not_measured(name: str, study: Study) -> str:
    """That nothing is there to compare, and what to add: of several, what measures the study's own networks."""
    found = declared().get(name, {})
    objective = str(study.constants.get("objective", "")).replace("_", "")
    own = [by for by, measures in found.items() if measures.lower() in ("", objective)]
    by = " or ".join(own or found)
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
