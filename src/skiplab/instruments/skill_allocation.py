import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.charts import Chart
from skiplab.data.dataset import Split
from skiplab.errors import SkiplabError
from skiplab.instruments.fixed_skill import FixedSkill
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog
from skiplab.layers import Network
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

_MAX_HALVINGS = 8
_NODES = (0.5 - math.sqrt(1 / 12), 0.5 + math.sqrt(1 / 12))  # of the Gauss-Legendre rule, exact up to cubics


class SkillAllocation(Instrument):
    """The part of the network's gain in skill that each block's own learning brings.

    Every n steps, the gain is shared out along the straight path from the weights n steps ago, W, to those now, W':

        part of block b = sum over its weights w of (w' - w) times the mean of dS/dw along the path,
        S = max(0, 1 - L / L_0),

    with L the training loss at fixed images and noise and L_0 the zero predictor's, see FixedSkill. The parts of all
    weights add up to S(W') - S(W), and so, over the whole training, to the skill at its end; on a path that crosses
    L_0, where S has a kink, to within what S changes on 1/256 of it. A part is below 0 if what the block learned makes
    the loss larger. Over the trial, with B blocks,

        skill from the first block = sum of its parts,   relative = B times that / sum of all blocks' parts,

    so that relative 1 means as much as an average block. A block that gets no gradient, that is frozen, or that the
    output doesn't depend on has part 0, however far the optimizer moves it. The relative value is missing if the
    blocks together bring nothing. docs/gradient_flow.md says what both were held against.

    Source: Lan et al. 2019, LCA: Loss Change Allocation for Neural Network Training, arXiv:1909.01440, section 2.
    Differs from the source: skill in place of the loss; along the straight path over n steps, not over each one;
        Gauss-Legendre's rule of two points in place of Simpson's, on halves of the path where needed; some images of
        the training split, not all of it.

    Args:
        every_n_steps: steps in one path, from 1. A path that training doesn't complete isn't measured.
        num_images: images at which skill is measured, from 1.
        tolerance: difference between the parts' sum and the gain in skill, above 0, over which a piece of the path is
            halved, up to 8 times.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    needs_trial: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {
        "skill_from_first_block": Metric(
            label="skill that the first block's learning brings", direction="higher", role="mechanism"
        ),
        "skill_from_first_block_relative": Metric(
            label="skill that the first block's learning brings, over an average block's",
            direction="higher",
            role="mechanism",
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "skill_gain": Chart(
            title="Skill that each block's learning brings, over training",
            caption="Part of the gain in skill that a block's own change of weights brings, at the last step of each "
            "measured path; input at the bottom, output at the top. Below 0, it makes the loss larger.",
            kind="heat",
            x="step",
            y="relative position of the block",
            value="gain in skill",
        ),
        "skill_from_first_block": Chart(
            title="What the first block's learning brings",
            caption="Sum of the first block's parts of the gain in skill over training; each seed, and each arm's mean "
            "with its 95% interval. At 0, its learning brings nothing.",
            kind="outcome",
        ),
    }

    def __init__(self, *, every_n_steps: int, num_images: int, tolerance: float) -> None:
        super().__init__(every_n_steps=every_n_steps)
        if num_images < 1 or not tolerance > 0:
            raise SkiplabError(
                f"instrument.skill_allocation.num_images={num_images}, tolerance={tolerance} is invalid; valid: a "
                "whole number from 1, and a number above 0"
            )
        self.num_images, self.tolerance = num_images, tolerance
        self._before: list[Tensor] = []

    def prepare(self, network: Network, objective: Objective[Any], split: Split) -> None:
        self._skill = FixedSkill(network.model, objective, split, self.num_images)

    def is_due(self, step: int) -> bool:
        return step % self.every_n_steps in (0, self.every_n_steps - 1)

    def begin(self, network: Network, step: int) -> None:
        self._blocks = network.blocks
        self._ends = step % self.every_n_steps == self.every_n_steps - 1
        if step % self.every_n_steps == 0:
            self._parameters = [each for each in network.model.parameters() if each.requires_grad]
            self._before = [each.detach().clone() for each in self._parameters]

    def after_update(self) -> list[Reading]:
        if not (self._ends and self._before):  # without weights, the trial was resumed within the path
            return []
        after = [each.detach().clone() for each in self._parameters]
        parts = allocate(self._skill, self._parameters, self._before, after, self.tolerance)
        number = {parameter: index for index, parameter in enumerate(self._parameters)}
        gains = [parts[[number[each] for each in block.parameters if each in number]].sum() for block in self._blocks]
        self._before = []
        return [Reading("skill_gain", self._blocks, gains)]

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        readings = log.readings[log.readings["quantity"] == "skill_gain"]
        gains = cast("pd.Series", readings.groupby("index")["value"].sum())
        if gains.empty:
            return {}
        first, mean = float(gains.loc[0]), float(gains.mean())
        relative = first / mean if mean > 0 else math.nan
        return {"skill_from_first_block": first, "skill_from_first_block_relative": relative}


def allocate(
    skill: FixedSkill,
    parameters: Sequence[nn.Parameter],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    tolerance: float,
) -> Float[Tensor, " parameter"]:
    """What each parameter's change brings on the straight path between two values of all; they end as they were."""
    changes = [(new - old).double().flatten() for old, new in zip(before, after, strict=True)]
    device = before[0].device if before else None

    @torch.no_grad()
    def move(place: float) -> None:
        for parameter, old, new in zip(parameters, before, after, strict=True):
            parameter.copy_(torch.lerp(old, new, place))

    def value(place: float) -> float:
        move(place)
        return skill.value()

    def rates(place: float) -> Tensor:
        move(place)
        found = zip(skill.gradient(parameters), changes, strict=True)
        none = torch.zeros((), dtype=torch.float64, device=device)
        return torch.stack([none if g is None else g.double().flatten() @ change for g, change in found])

    ends = (value(0.0), value(1.0))
    parts = _integral(value, rates, (0.0, 1.0), ends, tolerance, _MAX_HALVINGS)
    with torch.no_grad():
        for parameter, new in zip(parameters, after, strict=True):
            parameter.copy_(new)
    return parts


def _integral(
    value: Callable[[float], float],
    rates: Callable[[float], Tensor],
    places: tuple[float, float],
    values: tuple[float, float],
    tolerance: float,
    halvings: int,
) -> Tensor:
    """The integral of `rates` between two places, whose sum is to equal the difference of the values there."""
    (low, high), length = places, places[1] - places[0]
    found = length * torch.stack([rates(low + node * length) for node in _NODES]).mean(dim=0)
    if halvings == 0 or abs(found.sum().item() - (values[1] - values[0])) <= tolerance:
        return found
    middle = (low + high) / 2
    between = value(middle)
    first = _integral(value, rates, (low, middle), (values[0], between), tolerance, halvings - 1)
    return first + _integral(value, rates, (middle, high), (between, values[1]), tolerance, halvings - 1)
