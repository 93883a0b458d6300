"""Numbers that can't be given: they are missing, and the reason stands in their place."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from skiplab.evaluators.evaluator import Evaluator, Result, Trained


class UnmeasurableError(Exception):
    """What a network gives can't be measured, such as samples that overflow; the text says why.

    It makes numbers missing, and no more: the trial stays 'done'. Any other exception of an evaluator ends it.
    """


def measured(evaluator: Evaluator, trained: Trained) -> Result:
    """What an evaluator finds: finite numbers alone, and why each other metric, or value of a chart, is missing."""
    found, missing = Result({}), {}
    with noted(missing, [*evaluator.metrics, *evaluator.charts]):
        found = evaluator.evaluate(trained)
    summary, not_finite = split_finite(found.summary)
    shown = [each for each in found.measurements if math.isfinite(each.value)]
    left_out = [each.chart for each in found.measurements if not math.isfinite(each.value)]
    in_charts = {chart: f"{left_out.count(chart)} of its values are no finite numbers" for chart in left_out}
    return replace(
        found, summary=summary, measurements=shown, missing=missing | in_charts | not_finite | dict(found.missing)
    )


def split_finite(summary: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The values that are finite numbers, and why each other one is missing."""
    finite = {name: value for name, value in summary.items() if math.isfinite(value)}
    return finite, {name: f"it came out as {value}" for name, value in summary.items() if name not in finite}


@contextmanager
def noted(missing: dict[str, str], names: Iterable[str]) -> Iterator[None]:
    """Go on behind the block where it couldn't measure these, with the reason in `missing`.

    torch's linear algebra refuses numbers that aren't finite, and matrices that are degenerate.
    """
    try:
        yield
    except (UnmeasurableError, torch.linalg.LinAlgError) as error:
        missing |= dict.fromkeys(names, str(error).partition("\n")[0])


def require_finite(values: Tensor, what: str) -> Tensor:
    """The values, a row each, where all are finite numbers.

    Raises:
        UnmeasurableError: says of how many of `what` they aren't.
    """
    bad = (~values.isfinite()).flatten(1).any(dim=1) if values.ndim > 1 else ~values.isfinite()
    if bad.any():
        raise UnmeasurableError(f"{int(bad.sum())} of {len(values)} {what} aren't finite numbers")
    return values
