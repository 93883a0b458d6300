"""Update ratios equal a slow loop over the weights before and after the step."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.layers import Block, Layer, Network


def slow_ratio(before, after) -> float:
    size = step = 0.0
    for old, new in zip(before, after, strict=True):
        for was, becomes in zip(old.flatten().tolist(), new.flatten().tolist(), strict=True):
            size += was**2
            step += (becomes - was) ** 2
    return math.sqrt(step / size)


def test_of_each_layer(step, measured) -> None:
    readings, before, after = measured(UpdateRatio(every_n_steps=1))
    assert readings["update_ratio"].keys() == {layer.path for layer in step.network.layers}
    for path, ratio in readings["update_ratio"].items():
        own = (model.get_submodule(path).parameters(recurse=False) for model in (before, after))
        assert ratio == pytest.approx(slow_ratio(*own), rel=1e-9), path
        assert ratio > 0


def test_of_each_block(step, measured) -> None:
    readings, before, after = measured(UpdateRatio(every_n_steps=1))
    stages = ["encoder.0", "encoder.1", "bottom", "decoder.0"]
    assert list(readings["block_update_ratio"]) == [f"block.{index}" for index in range(4)]
    for stage, ratio in zip(stages, readings["block_update_ratio"].values(), strict=True):
        own = (model.get_submodule(f"{stage}.joins.0").parameters() for model in (before, after))
        assert ratio == pytest.approx(slow_ratio(*own), rel=1e-9), stage


def test_a_block_without_parameters_has_no_ratio() -> None:
    model = nn.Linear(2, 2)
    empty, full = Block(0, "block.0", ()), Block(1, "block.1", tuple(model.parameters()))
    instrument = UpdateRatio(every_n_steps=1)
    instrument.begin(Network(model, [Layer(0, "linear", model)], [empty, full], []), 0)
    instrument.before_update(1.0)
    with torch.no_grad():
        model.weight.add_(1)
    _, blocks = instrument.after_update()
    assert [block.path for block in blocks.places] == ["block.1"]
    assert len(blocks.values) == 1


def test_complex_numbers_count_with_both_parts() -> None:
    layer = nn.Linear(1, 1, bias=False, dtype=torch.complex128)
    with torch.no_grad():
        layer.weight.fill_(3 + 4j)
    instrument = UpdateRatio(every_n_steps=1)
    instrument.begin(Network(layer, [Layer(0, "linear", layer)], [], []), 0)
    instrument.before_update(1.0)
    with torch.no_grad():
        layer.weight.add_(2j)
    (ratio,) = instrument.after_update()[0].values
    assert float(ratio) == pytest.approx(2 / 5)


def test_summary_is_the_first_blocks_geometric_mean(log) -> None:
    rows = [
        (0, 0, "block.0", "block_update_ratio", 0.01),
        (10, 0, "block.0", "block_update_ratio", 0.04),
        (0, 1, "block.1", "block_update_ratio", 5.0),
        (0, 0, "stem", "update_ratio", 7.0),
    ]
    assert UpdateRatio(every_n_steps=10).summarize(log(rows)) == {"update_ratio_first_block": pytest.approx(0.02)}


def test_a_first_block_that_never_moves_has_ratio_zero(log) -> None:
    rows = [(step, 0, "block.0", "block_update_ratio", 0.0) for step in range(2)]
    assert UpdateRatio(every_n_steps=1).summarize(log(rows)) == {"update_ratio_first_block": 0.0}


@pytest.mark.parametrize("every_n_steps", [0, -3])
def test_refuses_a_schedule_that_never_measures(every_n_steps: int) -> None:
    with pytest.raises(SkiplabError, match=f"every_n_steps={every_n_steps} of UpdateRatio.*from 1"):
        UpdateRatio(every_n_steps=every_n_steps)


def test_only_due_steps_are_measured(run, tmp_path) -> None:
    trial = run(
        tmp_path,
        "trainer.max_steps=7",
        "instrument.update_ratio.every_n_steps=3",
        "instrument.gradient_flow.every_n_steps=5",
    )
    readings = pd.read_csv(trial.record.folder / "layers.csv")
    steps = readings.groupby("quantity")["step"].unique().map(list).to_dict()
    assert steps["update_ratio"] == steps["block_update_ratio"] == [0, 3, 6]
    assert steps["weight_gradient_norm"] == steps["activation_gradient_norm"] == [0, 5]
