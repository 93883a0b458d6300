"""The text of a claims file about a study: one claim for each arm, with comments that say what to decide."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from skiplab.metrics import Metric

_DECIDING = ("skill_train", "accuracy_val", "loss_val")  # the first that is measured decides, until the user says else
_MOST_METRICS = 40  # that are listed
_IN_TIME = "# Settle what stands here before the first trial; what is changed later makes verdicts exploratory.\n"
_LATE = """\
# Trials of this study were started before, so its verdicts will read 'exploratory: claims were written after the first
# trial'. For others, write the claims first and give the trials a study of their own.
"""


class Drafted(NamedTuple):
    """What a claims file is drafted from.

    name: of the study or the preset.
    factor: what is compared.
    arms: its levels.
    control: one of them.
    cells: the levels of every other factor.
    metrics: what is measured, those that have a better side among them.
    asked: the metrics that were asked for; empty: the first usual one.
    has_begun: whether a trial was started.
    """

    name: str
    factor: str
    arms: Sequence[str]
    control: str
    cells: Mapping[str, Sequence[Any]]
    metrics: Mapping[str, Metric]
    asked: Sequence[str]
    has_begun: bool

    @property
    def treatments(self) -> list[str]:
        return [arm for arm in self.arms if arm != self.control]

    @property
    def deciding(self) -> list[str]:
        """The metrics that get claims."""
        sided = [name for name, metric in self.metrics.items() if metric.direction]
        return list(self.asked) or [name for name in (*_DECIDING, *sided) if name in sided][:1]


def draft(given: Drafted) -> str:
    """The file as text."""
    claims = [_claim(given, metric, arm) for metric in given.deciding for arm in given.treatments]
    if over := _numeric(given):
        claims += [_growing(given, metric, arm, over) for metric in given.deciding for arm in given.treatments]
    return "\n".join([_head(given), *claims, _others(given)])


def _head(given: Drafted) -> str:
    late = _LATE if given.has_begun else _IN_TIME
    return f"""\
# Claims about {_comment(given.name)}: a draft, each line of which is yours to change (see docs/claims.md).
{late}question: {_scalar(f"Is any {given.factor} better than {given.control}?")}   # in your own words
factor: {_scalar(given.factor)}   # what is compared: {_comment(", ".join(given.arms))}
control: {_scalar(given.control)}   # the arm that others are compared with
treatment: {_scalar(given.treatments[0])}
tuned: false   # true: the settings of each arm are chosen by `skiplab tune`
# looks: [3, 6, 12]   # numbers of seeds at which `skiplab decide` judges and stops; without, judged once with all seeds

claims:"""


def _claim(given: Drafted, metric: str, arm: str) -> str:
    declared = given.metrics[metric]
    scale = "the ratio" if declared.scale == "log" else "the difference"
    return f"""\
  - name: {_scalar(_name(f"{arm}_over_{given.control}", metric, given))}
    text: {_scalar(f"{arm} has {declared.direction} {metric} than {given.control}.")}   # the sentence that is judged
    treatment: {_scalar(arm)}
    metric: {_scalar(metric)}   # {_comment(declared.label)}
    contrast: difference   # seed by seed; {scale} between the arms
    direction: {declared.direction}   # the side that is claimed: {declared.direction} is better
    smallest_effect: null   # {_smallest(declared)}; null: any, and the verdict reads 'exploratory'
    cells: {_flow(given.cells)}   # where it is judged; remove levels that it isn't about
    evidence: []   # further tests that can contest it, such as {{metric: NAME, direction: lower, smallest_effect: 0.1}}
"""


def _growing(given: Drafted, metric: str, arm: str, over: str) -> str:
    declared = given.metrics[metric]
    cells = {name: levels for name, levels in given.cells.items() if name != over}
    return f"""\
  - name: {_scalar(_name(f"{arm}_gains_with_{over}", metric, given))}
    text: {_scalar(f"The advantage of {arm} over {given.control} in {metric} grows with {over}.")}
    treatment: {_scalar(arm)}
    metric: {_scalar(metric)}   # {_comment(declared.label)}
    contrast: interaction   # the change of the advantage with each doubling of {_comment(over)}
    over: {_scalar(over)}
    direction: {declared.direction}
    smallest_effect: null   # {_smallest(declared)} per doubling
    cells: {_flow(cells)}
    evidence: []
"""


def _others(given: Drafted) -> str:
    lines = [
        f"#   {_comment(name)}: {_comment(metric.label)}; {metric.direction or 'neither'} is better"
        for name, metric in given.metrics.items()
        if name not in given.deciding
    ]
    more = [f"#   and {len(lines) - _MOST_METRICS} more"] if len(lines) > _MOST_METRICS else []
    return "\n".join(["# Other metrics that may decide or stand as evidence:", *lines[:_MOST_METRICS], *more, ""])


def _smallest(metric: Metric) -> str:
    if metric.scale == "log":
        return "the smallest change that counts, in log units: 0.1 is 10 percent"
    return "the smallest difference that counts, in the metric's own unit"


def _numeric(given: Drafted) -> str | None:
    """A factor with two or more positive numbers as levels, depth if it is one."""
    found = [name for name, levels in given.cells.items() if len(levels) > 1 and all(map(_is_positive, levels))]
    return "depth" if "depth" in found else next(iter(found), None)


def _is_positive(level: Any) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool) and level > 0


def _name(text: str, metric: str, given: Drafted) -> str:
    whole = f"{text}_in_{metric}" if len(given.deciding) > 1 else text
    return re.sub(r"\W+", "_", whole).strip("_")


def _scalar(text: str) -> str:
    """One line of YAML that reads as this text."""
    return yaml.safe_dump(text, default_flow_style=True, allow_unicode=True, width=10**6).splitlines()[0]


def _flow(cells: Mapping[str, Sequence[Any]]) -> str:
    plain = {name: list(levels) for name, levels in cells.items()}
    return yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False).strip()


def _comment(text: str) -> str:
    return " ".join(str(text).split())
