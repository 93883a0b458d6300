"""Small trainings under an instrument, and the other measures that `gradient_measures.py` holds it against."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from skiplab.data.dataset import Split
from skiplab.evaluators.eval_batches.skill import skill
from skiplab.instruments.fixed_skill import FixedSkill
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog
from skiplab.instruments.skill_allocation import SkillAllocation
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.layers import Network, inspect_network
from skiplab.objectives.objective import Objective
from skiplab.paths import project_dir
from skiplab.seeding import keyed_generator
from skiplab.training.batches import Batches
from skiplab.training.build import build
from skiplab.training.components import Components

NUM_STEPS = 120
EVERY = 10
DIGITS = (
    "logger=none",
    "evaluator=[]",
    "instrument=[]",
    "long_skip=none",
    "batch_size=32",
    f"trainer.max_steps={NUM_STEPS}",
)


class UndoneUpdate(Instrument):
    """Skill at the end of a path of n steps, minus the skill there with the first block's change undone."""

    def prepare(self, network: Network, objective: Objective[Any], split: Split) -> None:
        self._skill = FixedSkill(network.model, objective, split, num_images=64)

    def is_due(self, step: int) -> bool:
        return step % self.every_n_steps in (0, self.every_n_steps - 1)

    def begin(self, network: Network, step: int) -> None:
        self._ends = step % self.every_n_steps == self.every_n_steps - 1
        self._first = network.blocks[0]
        if step % self.every_n_steps == 0:
            self._before = [each.detach().clone() for each in self._first.parameters]

    @torch.no_grad()
    def after_update(self) -> list[Reading]:
        if not self._ends:
            return []
        with_it, after = self._skill.value(), [each.clone() for each in self._first.parameters]
        for parameter, old in zip(self._first.parameters, self._before, strict=True):
            parameter.copy_(old)
        without = self._skill.value()
        for parameter, new in zip(self._first.parameters, after, strict=True):
            parameter.copy_(new)
        return [Reading("undone", [self._first], [torch.tensor(with_it - without, dtype=torch.float64)])]

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        return {"undone": float(log.of("undone").sum())}


class SignalToNoise(Instrument):
    """|E g|^2 / E |g - E g|^2 of each block's gradient, over minibatches of 64 at the same weights, without bias.

    The summary is the first block's mean over the measured steps, over the mean of all blocks.
    """

    NUM_BATCHES = 8

    def prepare(self, network: Network, objective: Objective[Any], split: Split) -> None:
        self._network, self._objective, self._split = network, objective, split

    def is_due(self, step: int) -> bool:
        return step in (0, NUM_STEPS // 2, NUM_STEPS - 1)

    def begin(self, network: Network, step: int) -> None:
        self._step = step

    def after_update(self) -> list[Reading]:
        blocks, draw = self._network.blocks, keyed_generator(0, "signal", self._step)
        found: list[list[Tensor]] = [[] for _ in blocks]
        for _ in range(self.NUM_BATCHES):
            which = torch.randint(len(self._split), (64,), generator=draw)
            loss = self._objective.loss(self._network.model, *self._split.at(which), draw).mean()
            own = [parameter for block in blocks for parameter in block.parameters if parameter.requires_grad]
            gradients = dict(zip(own, torch.autograd.grad(loss, own, allow_unused=True), strict=True))
            for block, gathered in zip(blocks, found, strict=True):
                parts = [torch.zeros_like(p) if gradients.get(p) is None else gradients[p] for p in block.parameters]
                gathered.append(torch.cat([part.flatten() for part in parts]).double())
        return [Reading("signal_to_noise", blocks, [_signal_to_noise(torch.stack(each)) for each in found])]

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        found = log.readings[log.readings["quantity"] == "signal_to_noise"]
        means = found.groupby("index")["value"].agg("mean")
        first = float(means[0])
        return {"signal_to_noise": first / float(means.mean()), "signal_to_noise_first": first}


def _signal_to_noise(gradients: Tensor) -> Tensor:
    noise = gradients.var(dim=0).sum()
    signal = gradients.mean(dim=0).square().sum() - noise / len(gradients)
    return signal / noise.clamp(min=1e-300)


@dataclass(frozen=True)
class Run:
    """A training: its skill on validation images, the summary of each measure, and all readings."""

    skill: float
    summary: dict[str, float]
    readings: pd.DataFrame

    def gains(self) -> np.ndarray:
        """Of each path (rows) and block (columns)."""
        rows = self.readings[self.readings["quantity"] == "skill_gain"]
        return rows.pivot_table(index="step", columns="index", values="value").to_numpy()


def measures() -> list[Instrument]:
    allocation = SkillAllocation(every_n_steps=EVERY, num_images=64, tolerance=5e-3)
    return [
        allocation,
        UndoneUpdate(every_n_steps=EVERY),
        SignalToNoise(every_n_steps=1),
        UpdateRatio(every_n_steps=EVERY),
    ]


def components(*overrides: str) -> Components:
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        return build(compose("train", [*DIGITS, *overrides]))


def train(
    made: Components,
    instruments: list[Instrument],
    *,
    prepare: Callable[[nn.Module], None] = lambda _: None,
    before_step: Callable[[nn.Module, int], None] = lambda *_: None,
) -> Run:
    """Train; `prepare` may change the network first, and `before_step` before each step."""
    model, objective, split = made.model, made.objective, made.data.train
    prepare(model)
    network = inspect_network(model, *objective.example(split.shape))
    for instrument in instruments:
        instrument.prepare(network, objective, split)
    batches, seed = Batches(len(split), made.settings.batch_size, made.settings.seed), made.settings.seed
    rows: list[tuple[int, int, str, str, float]] = []
    for step in range(NUM_STEPS):
        before_step(model, step)
        due = [each for each in instruments if each.is_due(step)]
        for instrument in due:
            instrument.begin(network, step)
        generator = keyed_generator(seed, "noise", step)
        loss = objective.loss(model, *split.at(batches.indices(step)), generator).mean()
        made.optimizer.zero_grad()
        loss.backward()
        for instrument in due:
            instrument.before_update(1.0)
        made.optimizer.step()
        for reading in (reading for instrument in due for reading in instrument.after_update()):
            pairs = zip(reading.places, reading.values, strict=True)
            rows += [(step, place.index, place.path, reading.quantity, float(value)) for place, value in pairs]
    readings = pd.DataFrame(rows, columns=["step", "index", "path", "quantity", "value"])
    log = TrainingLog(
        readings=readings,
        losses=pd.Series(dtype=float),
        diverged=False,
        num_skipped=0,
        zero_loss=1.0,
        max_steps=NUM_STEPS,
        batch_size=made.settings.batch_size,
    )
    summary = {name: value for each in instruments for name, value in each.summarize(log).items()}
    return Run(_skill(made), summary, readings)


@torch.no_grad()
def _skill(made: Components) -> float:
    images, labels = made.data.val.first(512)
    zero = made.objective.zero_loss(images, labels, keyed_generator(0, "validation"))
    loss = made.objective.loss(made.model.eval(), images, labels, keyed_generator(0, "validation")).mean().item()
    return skill(loss, zero)
