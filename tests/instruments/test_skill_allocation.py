"""Parts equal path integrals in closed form; networks of which one knows what a block brings read that."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.instruments.fixed_skill import FixedSkill
from skiplab.instruments.skill_allocation import SkillAllocation, allocate
from skiplab.layers import Block, Network, inspect_network, joins
from skiplab.training.build import build
from tiny_trials import TINY, compose_config

SETTINGS = {"num_images": 16, "tolerance": 1e-3}


class Function:
    """Stands in for the skill: a function of parameters."""

    def __init__(self, function, parameters) -> None:
        self.function, self.parameters = function, parameters
        self.num_gradients = 0

    def value(self) -> float:
        return self.function(*self.parameters).item()

    def gradient(self, parameters):
        self.num_gradients += 1
        with torch.enable_grad():
            return torch.autograd.grad(self.function(*self.parameters), parameters, allow_unused=True)


def parts_of(function, before: list[float], after: list[float], tolerance: float = 1e-6):
    parameters = [nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in after]
    skill = Function(function, parameters)
    ends = ([torch.tensor(value, dtype=torch.float64) for value in values] for values in (before, after))
    parts = allocate(skill, parameters, *ends, tolerance)
    assert [parameter.item() for parameter in parameters] == after
    return parts.tolist(), skill.num_gradients


def test_equals_a_path_integral_in_closed_form() -> None:
    """S = a^2 b from (0, 0) to (1, 1): the integral of 2 t^2 for a, of t^2 for b; c has no influence."""
    parts, num_gradients = parts_of(lambda a, b, c: a**2 * b, [0.0, 0.0, 0.0], [1.0, 1.0, 5.0])
    assert parts == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-12)
    assert num_gradients == 2


def test_halves_a_path_until_the_parts_add_up() -> None:
    """S = sin(20 a) + b: two points can't follow it."""
    coarse, few = parts_of(lambda a, b: torch.sin(20 * a) + b, [0.0, 0.0], [1.0, 0.5], tolerance=100.0)
    fine, many = parts_of(lambda a, b: torch.sin(20 * a) + b, [0.0, 0.0], [1.0, 0.5], tolerance=1e-3)
    assert abs(coarse[0] - math.sin(20)) > 0.1
    assert fine == pytest.approx([math.sin(20), 0.5], abs=1e-3)
    assert few == 2
    assert many <= 2 * (2**6 - 1)


def test_resolves_a_kink_to_1_in_256_of_the_path() -> None:
    """S = max(0, a - 0.3) + b from (0, 0) to (1, 1), as where the loss falls below the zero predictor's."""
    parts, num_gradients = parts_of(lambda a, b: torch.relu(a - 0.3) + b, [0.0, 0.0], [1.0, 1.0])
    assert parts == pytest.approx([0.7, 1.0], abs=1 / 256)
    assert num_gradients == 2 * (1 + 2 * 8)  # only the piece with the kink is halved


def test_of_each_block_equals_a_fine_sum_over_the_path(trained) -> None:
    """A step of a network in float64, against 128 first-order steps along it."""
    components, before, after, parts = trained(lambda model: None)
    model, blocks = components.model, components.blocks
    slow = np.zeros(len(blocks))
    for at in (np.arange(128) + 0.5) / 128:
        with torch.no_grad():
            for parameter, old, new in zip(model.parameters(), before, after, strict=True):
                parameter.copy_(old + at * (new - old))
        gradients = components.skill.gradient(list(model.parameters()))
        pieces = {
            parameter: 0.0 if gradient is None else (gradient * (new - old)).sum().item() / 128
            for parameter, gradient, old, new in zip(model.parameters(), gradients, before, after, strict=True)
        }
        slow += [sum(pieces[parameter] for parameter in block.parameters) for block in blocks]
    assert parts == pytest.approx(slow, abs=1e-4)
    assert max(map(abs, slow)) > 1e-2


class Made:
    """A network, its blocks, and its skill."""

    def __init__(self, prepare, *overrides: str) -> None:
        made = build(compose_config(*TINY, "instrument=[]", "evaluator=[]", "long_skip=none", *overrides).config)
        self.model, self.objective, self.split = made.model.double(), made.objective, made.data.train
        self.split.stored = self.split.stored.double()
        prepare(self.model)
        self.network = inspect_network(self.model, *(each.double() for each in self.example()))
        self.blocks = self.network.blocks
        self.skill = FixedSkill(self.model, self.objective, self.split, 16)

    def example(self):
        return [each for each in self.objective.example(self.split.shape) if each is not None]


@pytest.fixture
def trained():
    """trained(prepare): twelve large steps of AdamW as one path; the weights around them, and each block's part."""

    def train(prepare, rate: float = 1e-2):
        made = Made(prepare)
        instrument = SkillAllocation(every_n_steps=12, **SETTINGS)
        instrument.prepare(made.network, made.objective, made.split)
        parameters = list(made.model.parameters())
        before = [each.detach().clone() for each in parameters]
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.1)
        for step in range(12):
            if instrument.is_due(step):
                instrument.begin(made.network, step)
            optimizer.zero_grad()
            generator = torch.Generator().manual_seed(step)
            made.objective.loss(made.model, *made.split.first(32), generator).mean().backward()
            optimizer.step()
            readings = instrument.after_update() if instrument.is_due(step) else []
        (reading,) = readings
        after = [each.detach().clone() for each in parameters]
        return made, before, after, [float(value) for value in reading.values]

    return train


def first_branch(model: nn.Module) -> nn.Module:
    return joins(model)[0].module.branch


def test_the_parts_of_all_weights_are_the_gain_in_skill(trained) -> None:
    """On the second half of the path, where the network is better than the zero predictor throughout."""
    made, before, after, _ = trained(lambda model: None)
    parameters = list(made.model.parameters())
    middle = [torch.lerp(old, new, 0.5) for old, new in zip(before, after, strict=True)]
    end = made.skill.value()
    with torch.no_grad():
        for parameter, value in zip(parameters, middle, strict=True):
            parameter.copy_(value)
    start = made.skill.value()
    parts = allocate(made.skill, parameters, middle, after, 1e-4)
    assert parts.sum().item() == pytest.approx(end - start, abs=1e-3)
    assert 0 < start < end - 0.01


def moved(before, after, block: Block, model: nn.Module) -> bool:
    own = set(block.parameters)
    changes = zip(model.parameters(), before, after, strict=True)
    return any(not torch.equal(old, new) for parameter, old, new in changes if parameter in own)


def test_a_block_behind_a_gate_of_zero_has_part_zero_though_its_weights_move(trained) -> None:
    made, before, after, parts = trained(
        lambda model: first_branch(model).register_forward_hook(lambda _, x, update: 0 * update)
    )
    assert moved(before, after, made.blocks[0], made.model)  # by weight decay
    assert parts[0] == 0
    assert all(part != 0 for part in parts[1:])


@pytest.mark.parametrize("passed", [lambda update: 1e-6 * update, lambda update: torch.sigmoid(update + 20)])
def test_a_block_that_can_change_next_to_nothing_has_next_to_no_part(passed, trained) -> None:
    made, before, after, parts = trained(
        lambda model: first_branch(model).register_forward_hook(lambda _, x, update: passed(update))
    )
    assert moved(before, after, made.blocks[0], made.model)
    assert abs(parts[0]) < 1e-5 * max(parts)


def test_the_only_block_that_is_trained_has_all(trained) -> None:
    def freeze_others(model: nn.Module) -> None:
        own = set(joins(model)[0].module.block_parameters())
        for parameter in model.parameters():
            parameter.requires_grad_(parameter in own)

    made, *_, parts = trained(freeze_others, rate=5e-2)
    assert parts[1:] == [0, 0, 0]
    assert parts[0] == pytest.approx(made.skill.value(), abs=1e-3)
    assert parts[0] > 0.01


def test_a_block_without_parameters_or_influence_has_part_zero() -> None:
    made = Made(lambda model: None)
    spare = nn.Parameter(torch.zeros(3))
    made.model.register_parameter("spare", spare)
    blocks = [Block(0, "block.0", ()), Block(1, "block.1", (spare,))]
    instrument = SkillAllocation(every_n_steps=1, **SETTINGS)
    instrument.prepare(made.network, made.objective, made.split)
    instrument.begin(Network(made.model, [], blocks, []), 0)
    with torch.no_grad():
        spare.add_(1)
    (reading,) = instrument.after_update()
    assert [float(value) for value in reading.values] == [0, 0]


def test_a_path_that_was_begun_in_another_process_is_left_out() -> None:
    made = Made(lambda model: None)
    instrument = SkillAllocation(every_n_steps=4, **SETTINGS)
    instrument.prepare(made.network, made.objective, made.split)
    instrument.begin(made.network, 3)
    assert instrument.after_update() == []


def test_summary_is_the_first_blocks_sum_and_that_over_the_mean(log) -> None:
    rows = [
        (step, block, f"block.{block}", "skill_gain", value)
        for step, values in ((9, (0.1, 0.3)), (19, (-0.05, 0.25)))
        for block, value in enumerate(values)
    ]
    found = SkillAllocation(every_n_steps=10, **SETTINGS).summarize(log([*rows, (9, 0, "stem", "other", 7.0)]))
    assert found == pytest.approx({"skill_from_first_block": 0.05, "skill_from_first_block_relative": 0.05 / 0.3})


def test_without_a_gain_of_the_blocks_there_is_no_relative_value(log) -> None:
    rows = [(9, 0, "block.0", "skill_gain", 0.1), (9, 1, "block.1", "skill_gain", -0.2)]
    found = SkillAllocation(every_n_steps=10, **SETTINGS).summarize(log(rows))
    assert found["skill_from_first_block"] == 0.1
    assert math.isnan(found["skill_from_first_block_relative"])


@pytest.mark.parametrize("wrong", [{"num_images": 0}, {"tolerance": 0.0}, {"tolerance": math.nan}])
def test_refuses_invalid_settings(wrong) -> None:
    with pytest.raises(SkiplabError, match=r"num_images=.*tolerance=.*valid: a whole number from 1"):
        SkillAllocation(every_n_steps=10, **(SETTINGS | wrong))


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "depth=3", "evaluator=[]"),
        ("frozen_fraction=0.25", "optimizer=sgd", "optimizer.lr=0.01"),
        ("connection=stochastic_depth", "trainer.precision=bf16-mixed"),
    ],
    ids=" ".join,
)
def test_in_a_trial(overrides: tuple[str, ...], run, tmp_path) -> None:
    """Paths end at steps 1, 3 and 5, and there is a row for each block."""
    settings = {"every_n_steps": 2, **SETTINGS}
    own = [f"instrument.skill_allocation.{name}={value}" for name, value in settings.items()]
    trial = run(tmp_path, "instrument=[skill_allocation]", *own, *overrides)
    readings = pd.read_csv(trial.record.folder / "layers.csv")
    assert set(readings["quantity"]) == {"skill_gain"}
    assert sorted(readings["step"].unique()) == [1, 3, 5]
    assert np.isfinite(readings["value"]).all()
    if "frozen_fraction=0.25" in overrides:
        by_block = readings.groupby("index")["value"].apply(lambda values: values.abs().max())
        assert by_block[0] == 0
        assert (by_block[1:] > 0).any() or trial.record.read()["summary"]["skill_from_first_block"] == 0


def test_skill_is_that_of_the_objectives_loss_and_repeats_with_randomness_inside() -> None:
    made = Made(lambda model: None, "connection=stochastic_depth")
    made.model.train()
    generator = torch.get_rng_state()
    with torch.no_grad():  # so that it is better than the zero predictor
        for parameter in made.model.parameters():
            parameter.mul_(0.5)
        state = copy.deepcopy(made.model.state_dict())
    first, second = made.skill.value(), made.skill.value()
    assert first == second
    assert torch.equal(torch.get_rng_state(), generator)
    for name, value in made.model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(parameter.grad is None for parameter in made.model.parameters())


@pytest.mark.parametrize("scale", [1e3, math.inf])
def test_a_network_that_is_worse_than_zero_has_skill_zero(scale: float) -> None:
    made = Made(lambda model: None)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.fill_(scale)
    assert made.skill.value() == 0
    assert made.skill.gradient(list(made.model.parameters())) == [None] * len(list(made.model.parameters()))
