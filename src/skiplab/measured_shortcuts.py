"""What each shortcut of a trained network carries, measured without training."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from skiplab.errors import SkiplabError
from skiplab.layers import evaluating
from skiplab.surgery.changed_shortcuts import adjustable, neighbor, scaled, swapped
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.shortcut import Shortcuts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = float | Tensor
Loss = Callable[[nn.Module], Value | Mapping[Any, Value]]
FACTORS = (0.0, 0.5, 1.5)
_ALL = "all together"
_CHANGE = ("shortcut", "path", "call", "change", "factor", "swapped_with")
_COLUMNS = (*_CHANGE, "part", "value", "untouched", "update_ratio")


@dataclass(frozen=True)
class MeasuredShortcuts:
    """What a loss becomes when each shortcut is changed.

    shortcuts: those that were changed, in the order in which the network computes them.
    frame: a row for each change and each part of the loss. `shortcut` is the position in `shortcuts`, -1 for all
        together. `change` is 'scaled' by `factor` (0: removed) or 'swapped' with the shortcut `swapped_with`. `value`
        is the loss, `untouched` that of the network as it is, and `update_ratio` the size of the update over that of
        the stream.
    parts: the names of the parts of the loss; the first is that of the table.
    """

    shortcuts: Shortcuts
    frame: pd.DataFrame
    parts: tuple[str, ...]

    def untouched(self, part: str | None = None) -> float:
        """The loss of the network as it is."""
        return float(self._of(part)["untouched"].iloc[0])

    def table(self, part: str | None = None) -> pd.DataFrame:
        """A row for each shortcut, with the loss under each change: removed, scaled, swapped with its neighbor.

        Args:
            part: of the loss; by default the first.

        Raises:
            SkiplabError: if the loss has no such part.
        """
        own = self._of(part)
        changes = own["factor"].map(lambda factor: "removed" if factor == 0 else f"x{factor:g}")
        own = own.assign(change=changes.where(own["change"] == "scaled", "swapped"))
        wide = own.pivot(index="shortcut", columns="change", values="value")[list(dict.fromkeys(own["change"]))]
        first = own.drop_duplicates("shortcut").set_index("shortcut")[["path", "call", "update_ratio"]]
        found = first.join(wide).reset_index()
        return pd.concat([found.loc[found["shortcut"] >= 0], found.loc[found["shortcut"] < 0]], ignore_index=True)

    def figure(self) -> "Figure":
        """The loss without each shortcut, at each factor, and with each part of it if there are several."""
        from skiplab.analysis.figures.shortcut_figure import shortcut_figure

        return shortcut_figure(self.frame, self.parts)

    def __str__(self) -> str:
        """The table, under a line that says what the untouched network has."""
        shown = self.table().drop(columns="shortcut")
        shown["path"] = shown["path"].replace("", "(the model)")
        shown["call"] = shown["call"].map(lambda call: str(call) if call >= 0 else "")
        text = shown.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.4g}")
        part = f", {self.parts[0]}" if self.parts[0] else ""
        lines = "\n".join(line.rstrip() for line in text.splitlines())
        return f"untouched{part}: {self.untouched():.4g}\n{lines}"

    __repr__ = __str__

    def _of(self, part: str | None) -> pd.DataFrame:
        asked = self.parts[0] if part is None else part
        if asked not in self.parts:
            raise SkiplabError(f"part={asked!r} is no part of the loss; valid: {', '.join(map(repr, self.parts))}")
        return self.frame.loc[self.frame["part"] == asked]


def measure_shortcuts(
    model: nn.Module, loss: Loss, where: Shortcuts, *, factors: Iterable[float] = FACTORS
) -> MeasuredShortcuts:
    """What a trained network's loss becomes when each of its shortcuts is changed, without any training.

        removed   x + f(x) -> f(x)
        scaled    x + f(x) -> a x + f(x)
        swapped   the branches of two neighbors change their weights, f and g: first x + g(x), then x + f(x)

    A neighbor is the next shortcut of the same stage whose branch has the same layers. Each change is made alone, and
    scaling of all shortcuts together too. The size of an update is the root of its mean square over that of the stream.

    The network is in evaluation mode, without gradients, and the generators of torch start anew at each call of `loss`.
    Afterwards network and generators are as they were.

    Args:
        model: the network in which the shortcuts were found.
        loss: a function of the network that returns a number, such as a loss or a metric on data of yours; or several
            by name, such as {'all': ..., 'noise 0.1': ...}, of which the first is the one that tables show.
        where: the result of `skiplab.find_shortcuts(model, example_inputs)`, or a selection of it.
        factors: of the stream. 0 removes it, and at 1 the network is untouched, which is not measured again.

    Raises:
        SkiplabError: if a shortcut can't be replaced, a factor isn't a finite number, or two calls of `loss` on the
            same network differ; the network is unchanged then.
    """
    if where.model is not model:
        raise SkiplabError("these shortcuts were found in another model; find the shortcuts of this model")
    asked = _checked(factors)
    where = where.replaceable()
    measured: list[dict[str, Any]] = []
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        untouched = loss_parts(loss, model)
        joins = stack.enter_context(adjustable(where))
        with _sizes(joins) as ratios:
            again = loss_parts(loss, model)
        if not _same(again, untouched):
            raise SkiplabError(
                f"loss(model) gives {_told(untouched)} and then {_told(again)} for the same network; draw its data and "
                "noise from a generator that starts anew in each call"
            )

        def note(index: int, change: str, factor: float | None = None, other: int | None = None) -> None:
            place = {"path": _ALL, "call": -1} if index < 0 else {n: getattr(where[index], n) for n in ("path", "call")}
            ratio = float("nan") if index < 0 else ratios[index]
            for part, value in loss_parts(loss, model).items():
                row = {"shortcut": index, **place, "change": change, "factor": factor, "swapped_with": other}
                measured.append({**row, "part": part, "value": value, "update_ratio": ratio})

        for index, join in enumerate(joins):
            for factor in asked:
                with scaled([join], factor):
                    note(index, "scaled", factor)
            if (other := neighbor(model, where, index)) is not None:
                with swapped(model, where[index], where[other]):
                    note(index, "swapped", other=other)
        for factor in asked:
            with scaled(joins, factor):
                note(-1, "scaled", factor)
    frame = pd.DataFrame(measured)
    frame["untouched"] = [untouched[part] for part in frame["part"]]
    return MeasuredShortcuts(where, frame.loc[:, list(_COLUMNS)], tuple(untouched))


def _checked(factors: Iterable[float]) -> list[float]:
    found = list(dict.fromkeys(float(factor) for factor in factors))
    wrong = [factor for factor in found if not torch.isfinite(torch.tensor(factor))]
    if wrong or not set(found) - {1.0}:
        given = wrong[0] if wrong else found
        raise SkiplabError(
            f"factors={given} is invalid; valid: finite numbers, one of them not 1, such as (0, 0.5, 1.5)"
        )
    return [factor for factor in found if factor != 1]


@torch.no_grad()
def loss_parts(loss: Loss, model: nn.Module) -> dict[str, float]:
    """The loss by the names of its parts; '' is the name of a single number."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = loss(model)
    named = found if isinstance(found, Mapping) else {"": found}
    try:
        values = {str(name): float(value) for name, value in named.items()}
    except (TypeError, ValueError, RuntimeError):
        values = {}
    if not values:
        raise SkiplabError(
            f"loss(model) returns a {type(found).__name__} that is no number; valid: a number, a tensor of one number, "
            "or a dictionary of these"
        )
    return values


@contextmanager
def _sizes(joins: Sequence[ForeignJoin]) -> Iterator[list[float]]:
    """The size of each update over that of its stream, over all calls inside the block; known at its end."""
    squares = torch.zeros(len(joins), 2, dtype=torch.float64)
    ratios: list[float] = []

    def observe(join: nn.Module, arguments: tuple[Tensor, Tensor], _: Any) -> None:
        own = [tensor.detach().float().square().sum(dtype=torch.float64).cpu() for tensor in arguments]
        squares[join.block_index] += torch.stack(own)  # pyright: ignore[reportArgumentType, reportCallIssue]

    handles = [join.register_forward_hook(observe) for join in joins]
    try:
        yield ratios
        ratios += (squares[:, 1] / squares[:, 0]).sqrt().tolist()
    finally:
        for handle in handles:
            handle.remove()


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return list(one) == list(other) and np.array_equal(list(one.values()), list(other.values()), equal_nan=True)


def _told(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.9g}".strip() for name, value in parts.items())
