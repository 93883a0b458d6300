"""`skiplab compare`: is an arm better than the control? One question, judged as a claim is, without a claims file."""

import math
from pathlib import Path

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims import Claim, Claims, Test
from skiplab.analysis.claims.contrasts import Contrast
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.measured_study import check_has_numbers
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison import Comparison, Selection, find_comparison
from skiplab.errors import SkiplabError
from skiplab.printable import printable

EXPLORATORY = "exploratory: no claims file"


def compare(study: Study, selection: Selection, smallest_effect: float = 0.0) -> list[Verdict]:
    """For each metric and each arm the verdict on 'the arm is better than the control', in each cell.

    The rule is that of `judge`: p values are Holm-adjusted over all of them. Every verdict is exploratory, since no
    claims file says that the question came before the numbers.

    Args:
        study: what is judged.
        selection: the factor, the control and the metrics.
        smallest_effect: the smallest advantage that counts, on each metric's scale.

    Raises:
        SkiplabError: a name or the smallest effect is invalid, there is one arm, or a metric has no better side.
    """
    if not 0 <= smallest_effect < math.inf:
        raise SkiplabError(f"smallest_effect={smallest_effect!r} is invalid; valid: a number from 0")
    compared = find_comparison(study, None, selection)
    if len(compared.arms) < 2:
        raise SkiplabError(
            f"{printable(compared.factor)} has one arm, {printable(', '.join(compared.arms))}; valid for compare: two "
            "or more; name another column or factor"
        )
    for name in compared.metrics:
        if study.metrics[name].direction is None:
            raise SkiplabError(f"the metric {printable(name)} has no better side; valid for compare: one that has")
    claims = tuple(
        _claim(study, compared, name, arm, smallest_effect)
        for name in compared.metrics
        for arm in compared.arms
        if arm != compared.control
    )
    return judge(study, Claims(question="", tuned=False, looks=(), claims=claims, sha256="", caveats=(EXPLORATORY,)))


def _claim(study: Study, compared: Comparison, metric: str, arm: str, smallest_effect: float) -> Claim:
    direction = study.metrics[metric].direction
    assert direction is not None, "metrics without a better side are refused"
    contrast = Contrast(
        metric=metric,
        kind="difference",
        factor=compared.factor,
        control=compared.control,
        treatment=arm,
        direction=direction,
    )
    name = f"{arm} over {compared.control}"
    return Claim(
        name=f"{name}, {metric}" if len(compared.metrics) > 1 else name,
        text=f"{arm} has {direction} {metric} than {compared.control}.",
        source="",
        tested_part=None,
        parts=(Test(contrast=contrast, smallest_effect=smallest_effect),),
        cells={},
        evidence=(),
    )


def compare_command(
    name: str,
    runs_dir: Path,
    selection: Selection,
    smallest_effect: float = 0.0,
    console: Console | None = None,
    columns: FileColumns = NO_COLUMNS,
) -> list[Verdict]:
    """Print the verdicts of `compare` on a study or a file of results; nothing is written.

    Raises:
        SkiplabError: there is no such study, the file can't be read as one, or as `compare`.
    """
    console = console or terminal.console()
    study, metrics = open_study(name, runs_dir, columns, selection.metrics)
    check_has_numbers(study, "compare")
    verdicts = compare(study, selection._replace(metrics=metrics), smallest_effect)
    console.print(render_verdicts(verdicts, details=True))
    terminal.say_problems(console, study.problems)
    return verdicts
