"""Gradient norms equal a slow loop over entries, with gradients of an autograd run of its own."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skiplab.errors import SkiplabError
from skiplab.instruments.gradient_flow import GradientFlow
from skiplab.layers import inspect_network
from skiplab.seeding import keyed_generator
from skiplab.training.batches import Batches
from skiplab.training.build import build


def slow_norm(tensors) -> float:
    return math.sqrt(sum(float(entry) ** 2 for tensor in tensors for entry in tensor.flatten().tolist()))


def test_weight_gradients(step, measured) -> None:
    readings, before, _ = measured(GradientFlow(every_n_steps=1, floor=1e-8))
    step.loss(before).backward()
    assert readings["weight_gradient_norm"].keys() == {layer.path for layer in step.network.layers}
    for path, norm in readings["weight_gradient_norm"].items():
        own = before.get_submodule(path).parameters(recurse=False)
        assert norm == pytest.approx(slow_norm(parameter.grad for parameter in own), rel=1e-9), path


def test_gradients_of_output_activations(step, measured) -> None:
    """The gradient for a layer's output is the gradient for a zero that is added to it."""
    readings, before, _ = measured(GradientFlow(every_n_steps=1, floor=1e-8))
    zeros: dict[str, torch.Tensor] = {}

    def add_zero(path: str):
        def hook(module, inputs, output):
            zeros[path] = torch.zeros_like(output, requires_grad=True)
            return output + zeros[path]

        return hook

    for path in readings["activation_gradient_norm"]:
        before.get_submodule(path).register_forward_hook(add_zero(path))
    step.loss(before).backward()
    for path, norm in readings["activation_gradient_norm"].items():
        assert norm == pytest.approx(slow_norm([zeros[path].grad]), rel=1e-9), path
        assert norm > 0


def test_a_layer_that_is_called_twice_counts_all_its_outputs() -> None:
    layer = nn.Linear(1, 1, bias=False).double()
    model = nn.Sequential(layer, layer)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    x = torch.ones(1, 1, dtype=torch.float64)
    instrument = GradientFlow(every_n_steps=1, floor=1e-8)
    instrument.begin(inspect_network(model, x), 0)
    model(x).sum().backward()  # y = w (w x): dy/d(first output) = w = 3, dy/d(second output) = 1, dy/dw = 2 w = 6
    instrument.before_update(loss_scale=1.0)
    weights, activations, _ = instrument.after_update()
    assert [float(value) for value in weights.values] == [6.0]
    assert [float(value) for value in activations.values] == pytest.approx([math.sqrt(3**2 + 1)])


class WritesOverViews(nn.Module):
    """Linear layers on tokens return views, which it writes over; one layer is written over by its own caller."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.head = nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 1)

    def forward(self, x):
        update = self.down(self.up(x).relu_())
        update += x
        return self.head(update)


def outputs_read(model: nn.Module, x: torch.Tensor, step) -> dict[str, float]:
    """The gradient norms of layers' outputs that a step shows."""
    instrument = GradientFlow(every_n_steps=1, floor=0.0)
    instrument.begin(inspect_network(model, x), 0)
    step()
    instrument.before_update(loss_scale=1.0)
    reading = instrument.after_update()[1]
    return {place.path: float(value) for place, value in zip(reading.places, reading.values, strict=True)}


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 4)])
def test_outputs_that_are_written_over_count(shape) -> None:
    torch.manual_seed(0)
    model, x = WritesOverViews().double(), torch.randn(shape, dtype=torch.float64)
    found = outputs_read(model, x, lambda: model(x).square().sum().backward())
    up = model.up(x)
    down = model.down(up.relu())
    head = model.head(down + x)
    expected = torch.autograd.grad(head.square().sum(), (up, down, head))
    assert list(found) == ["up", "down", "head"]
    assert list(found.values()) == pytest.approx([slow_norm([each]) for each in expected], rel=1e-9)
    assert not any(parameter._backward_hooks for parameter in model.parameters())


def two_layers() -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double(), torch.randn(5, 4, dtype=torch.float64)


def expected_of(loss, model: nn.Sequential, x: torch.Tensor) -> list[float]:
    """The gradient norms of both outputs, by an autograd run of its own."""
    first = model[0](x)
    second = model[2](model[1](first))
    return [slow_norm([each]) for each in torch.autograd.grad(loss(second), (first, second))]


def square(y: torch.Tensor) -> torch.Tensor:
    return y.square().mean()


def size(y: torch.Tensor) -> torch.Tensor:
    return y.abs().mean()


def test_gradients_of_an_output_are_summed_over_passes() -> None:
    model, x = two_layers()

    def step() -> None:
        y = model(x)
        square(y).backward(retain_graph=True)
        size(y).backward()

    expected = expected_of(lambda y: square(y) + size(y), model, x)
    assert list(outputs_read(model, x, step).values()) == pytest.approx(expected, rel=1e-9)


def test_a_pass_that_gives_weights_no_gradient_doesnt_count() -> None:
    model, x = two_layers()

    def step() -> None:
        y = model(x)
        torch.autograd.grad(size(y), list(model.parameters()), retain_graph=True)
        square(y).backward()

    assert list(outputs_read(model, x, step).values()) == pytest.approx(expected_of(square, model, x), rel=1e-9)


def test_passes_whose_gradients_were_cleared_dont_count() -> None:
    model, x = two_layers()

    def step() -> None:
        for _ in range(2):
            model.zero_grad()
            (3 * size(model(x))).backward()
        model.zero_grad()
        for part in x.split(2):  # accumulated
            square(model(part)).backward()

    parts = [expected_of(square, model, part) for part in x.split(2)]
    expected = [math.hypot(*norms) for norms in zip(*parts, strict=True)]
    assert list(outputs_read(model, x, step).values()) == pytest.approx(expected, rel=1e-9)


def test_a_pass_that_broke_off_is_forgotten() -> None:
    model, x = two_layers()

    def fail(_: torch.Tensor) -> None:
        raise MemoryError

    def step() -> None:
        y = model[1](hidden := model[0](x))
        hook = hidden.register_hook(fail)
        with pytest.raises(MemoryError):
            square(model[2](y)).backward()
        hook.remove()
        model.zero_grad()
        square(model(x)).backward()

    assert list(outputs_read(model, x, step).values()) == pytest.approx(expected_of(square, model, x), rel=1e-9)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpoints_change_nothing(reentrant) -> None:
    model, x = two_layers()
    outer = nn.Sequential(nn.Linear(4, 4).double(), model)
    expected = outputs_read(outer, x, lambda: square(outer(x)).backward())

    def step() -> None:
        outer.zero_grad()
        square(checkpoint(model, outer[0](x), use_reentrant=reentrant)).backward()

    assert outputs_read(outer, x, step) == pytest.approx(expected, rel=1e-9)


def test_complex_numbers_count_with_both_parts() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3, dtype=torch.complex128)
    x = torch.randn(5, 4, dtype=torch.complex128)
    found = outputs_read(layer, x, lambda: layer(x).abs().square().sum().backward())
    assert found[""] == pytest.approx(math.sqrt(sum(abs(2 * entry) ** 2 for entry in layer(x).flatten().tolist())))


def test_a_trials_readings_are_of_its_own_batch(finished) -> None:
    """The first step of a real trial, computed again in float64 from (seed, step) alone."""
    config = finished.composed.config
    parts = build(config)
    generator = keyed_generator(config.seed, "noise", 0)
    split = parts.data.train
    x0, labels = split.at(Batches(len(split), config.batch_size, config.seed).indices(0))
    time = parts.objective.noise_schedule.draw(len(x0), generator)
    noise = torch.randn(x0.shape, generator=generator)
    noised = parts.objective.noised(x0.double(), noise.double(), time.double(), labels)
    model = parts.model.double()
    (model(noised.x_t, noised.time) - noised.target).square().mean().backward()
    readings = pd.read_csv(finished.record.folder / "layers.csv")
    first = readings[(readings["step"] == 0) & (readings["quantity"] == "weight_gradient_norm")]
    assert len(first) == 18
    for path, value in zip(first["path"], first["value"], strict=True):
        own = model.get_submodule(path).parameters(recurse=False)
        # the trial ran in float32
        assert value == pytest.approx(slow_norm(parameter.grad for parameter in own), rel=1e-4, abs=1e-7), path


def test_gradients_are_read_before_clipping(finished, run, tmp_path) -> None:
    clipped = run(tmp_path, "trainer.gradient_clip_norm=1e-3", "trainer.max_steps=2")
    free, bound = (pd.read_csv(trial.record.folder / "layers.csv") for trial in (finished, clipped))
    free, bound = (rows[(rows["step"] == 0) & rows["quantity"].str.endswith("gradient_norm")] for rows in (free, bound))
    assert bound["value"].tolist() == free["value"].tolist()
    assert bound["value"].max() > 1e-2


def test_of_each_block(step, measured) -> None:
    readings, before, _ = measured(GradientFlow(every_n_steps=1, floor=1e-8))
    step.loss(before).backward()
    stages = ["encoder.0", "encoder.1", "bottom", "decoder.0"]
    for index, stage in enumerate(stages):
        own = before.get_submodule(f"{stage}.joins.0").parameters()
        norm = slow_norm(parameter.grad for parameter in own)
        assert readings["block_gradient_norm"][f"block.{index}"] == pytest.approx(norm, rel=1e-9)


def test_the_factor_of_mixed_precision_is_taken_out_of_activations(step) -> None:
    found = []
    for loss_scale in (1.0, 1024.0):
        instrument = GradientFlow(every_n_steps=1, floor=0.0)
        instrument.begin(step.network, 0)
        step.model.zero_grad()
        (loss_scale * step.loss(step.model)).backward()
        instrument.before_update(loss_scale)
        found.append(torch.stack(list(instrument.after_update()[1].values)))
    torch.testing.assert_close(*found, rtol=1e-9, atol=0)


def blocks_read(*by_step: list[float]):
    return [
        (step, index, f"block.{index}", "block_gradient_norm", value)
        for step, values in enumerate(by_step)
        for index, value in enumerate(values)
    ]


def test_summary_of_blocks_whose_gradient_halves_from_each_to_the_one_before(log) -> None:
    rows = blocks_read([1.0, 2.0, 4.0, 8.0], [4.0, 8.0, 16.0, 32.0])
    summary = GradientFlow(every_n_steps=1, floor=0.0).summarize(log(rows))
    assert summary == {
        "gradient_first_to_last": pytest.approx(1 / 8),
        "gradient_growth_per_block": pytest.approx(2.0),
    }


def test_decay_is_the_least_squares_slope(log) -> None:
    values = [1.0, 5.0, 2.0, 9.0]
    summary = GradientFlow(every_n_steps=1, floor=0.0).summarize(log(blocks_read(values)))
    logs = [math.log(value) for value in values]
    slope = sum((index - 1.5) * value for index, value in enumerate(logs)) / sum(
        (index - 1.5) ** 2 for index in range(4)
    )
    assert summary["gradient_growth_per_block"] == pytest.approx(math.exp(slope))


def test_share_of_layers_without_gradient(log) -> None:
    rows = [(0, index, str(index), "weight_gradient_norm", value) for index, value in enumerate([0.0, 1e-9, 1e-8, 1.0])]
    summary = GradientFlow(every_n_steps=1, floor=1e-8).summarize(log(rows))
    assert summary == {"gradient_below_floor": 0.75}


def test_a_block_without_gradient_has_no_ratio(log) -> None:
    assert GradientFlow(every_n_steps=1, floor=0.0).summarize(log(blocks_read([0.0, 1.0]))) == {}


def test_refuses_a_floor_below_zero() -> None:
    with pytest.raises(SkiplabError, match=r"floor=-1\.0.*from 0"):
        GradientFlow(every_n_steps=1, floor=-1.0)
