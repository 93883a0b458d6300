"""Numbers that cannot be measured: they are missing from the result, with the reason."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from skiplab.evaluators.evaluator import Evaluator, Result, Trained


class UnmeasurableError(Exception):
    """The network's outputs cannot be measured, for example because samples overflow; the text says why.

    The evaluator's numbers are then missing, for good. After any other exception it is tried again by the next command.
    """


def measured(evaluator: Evaluator[Any], trained: Trained[Any]) -> Result:
    """The evaluator's result, without numbers that are not finite; `missing` gives the reason for each of them."""
    found = Result({})
    missing: dict[str, str] = {}
    with note_missing(missing, [*evaluator.metrics, *evaluator.charts]):
        found = evaluator.evaluate(trained)
    summary, not_finite = split_finite(found.summary)
    shown = [each for each in found.measurements if math.isfinite(each.value)]
    left_out = [each.chart for each in found.measurements if not math.isfinite(each.value)]
    in_charts = {chart: f"{left_out.count(chart)} of its values aren't finite numbers" for chart in left_out}
    return replace(
        found, summary=summary, measurements=shown, missing=missing | in_charts | not_finite | dict(found.missing)
    )


def split_finite(summary: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The finite values, and the reason why each of the others is missing."""
    finite = {name: value for name, value in summary.items() if math.isfinite(value)}
    return finite, {name: f"its value is {value}" for name, value in summary.items() if name not in finite}


@contextmanager
def note_missing(missing: dict[str, str], names: Iterable[str]) -> Iterator[None]:
    """If the block cannot measure these metrics and charts, write the reason to `missing` and continue.

    torch's linear algebra raises its own error for matrices that are not finite or are degenerate.
    """
    try:
        yield
    except (UnmeasurableError, torch.linalg.LinAlgError) as error:
        missing |= dict.fromkeys(names, str(error).partition("\n")[0])


def require_finite(values: Tensor, what: str) -> Tensor:
    """The same values, one row per item, if all are finite.

    Raises:
        UnmeasurableError: says how many of `what` are not finite.
    """
    if not values.numel() or torch.stack(values.aminmax()).isfinite().all():  # a tenth of the time of all isfinite
        return values
    bad = (~values.isfinite()).flatten(1).any(dim=1) if values.ndim > 1 else ~values.isfinite()
    raise UnmeasurableError(f"{int(bad.sum())} of {len(values)} {what} aren't finite numbers")
