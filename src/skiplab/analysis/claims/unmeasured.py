"""Metrics that a study has not measured: the option of skiplab that measures each, if any does."""

import ast
import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from skiplab.analysis.study.collapsed import COLLAPSED
from skiplab.analysis.study.study import Study
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_PACKAGE = Path(__file__).resolve().parents[2]
_AXES = ("evaluator", "instrument")


@cache
def declared_metrics() -> dict[str, dict[str, str]]:
    """For each metric the options that measure it, such as 'evaluator=[frechet_distance]'.

    Each option comes with the class of the objective that it needs, or '' where it goes with any. Both are read from
    the options' sources, since importing them would load torch.
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
    """The keys of every `metrics: ClassVar[...] = {...}` in a file, and the class of the objective that it needs."""
    assigned = list(_assigned(path))
    tables = [value for name, value in assigned if name == "metrics" and isinstance(value, ast.Dict)]
    measures = [value.id for name, value in assigned if name == "measures" and isinstance(value, ast.Name)]
    names = [str(key.value) for table in tables for key in table.keys if isinstance(key, ast.Constant)]
    return names, next(iter(measures), "Denoising")


def _assigned(path: Path) -> Iterator[tuple[str, ast.expr | None]]:
    """Every annotated name of a file, and the expression assigned to it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


def not_measured(name: str, study: Study) -> str:
    """The sentence that a study lacks a metric, with the option that would measure it on the study's networks."""
    found = declared_metrics().get(name, {})
    objective = str(study.constants.get("objective", "")).replace("_", "")
    own = [by for by, measures in found.items() if measures.lower() in ("", objective)]
    by = " or ".join(own or found)
    return f"{name} was not measured{f'; {by} measures it' if by else ''}"


def check_measured(study: Study, names: Sequence[str]) -> None:
    """Refuse metrics that no trial of the study has and no option of skiplab measures.

    An evaluator from outside skiplab may measure them, which is known once a trial is done; before, none is refused.

    Raises:
        SkiplabError: for the first of them.
    """
    if "done" in set(study.trials["status"]):
        check_known(names, list(study.metrics), f"in study {printable(study.name)}")


def check_known(names: Sequence[str], own: Sequence[str], where: str) -> None:
    """Refuse metrics that are neither among a trial's own, nor measured by an option of skiplab, nor derived.

    Raises:
        SkiplabError: for the first of them.
    """
    for name in names:
        if name not in own and name not in declared_metrics() and name != COLLAPSED:
            near = difflib.get_close_matches(name, dict.fromkeys([*own, *declared_metrics()]), n=3)
            hint = f"; did you mean {printable(' or '.join(near))}?" if near else ""
            raise SkiplabError(
                f"the claims ask for the metric {printable(name)!r}, which nothing measures; measured {where}: "
                f"{printable(', '.join(own)) or 'none'}{hint}"
            )
