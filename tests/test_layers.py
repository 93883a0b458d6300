"""The layers and blocks that instruments measure, in the order of the forward pass."""

import torch
from torch import nn

from skiplab.layers import blocks, weight_layers
from tiny_trials import network


def test_every_layer_with_a_matrix_is_found_in_the_order_of_the_forward_pass(compose_tiny) -> None:
    config = compose_tiny().config
    model = network(config)
    layers = weight_layers(model, torch.zeros(1, 1, 8, 8), torch.full((1,), 0.5))
    assert [layer.index for layer in layers] == list(range(len(layers)))
    expected = {path for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert {layer.path for layer in layers} == expected
    assert all(model.get_submodule(layer.path) is layer.module for layer in layers)
    paths = [layer.path for layer in layers]
    stages = ["stem", "encoder.0", "down.0", "encoder.1", "bottom", "up.0", "decoder.0", "head"]
    starts = [min(index for index, path in enumerate(paths) if path.startswith(stage)) for stage in stages]
    assert starts == sorted(starts)
    inside = [path.rsplit(".", 1)[1] for path in paths if path.startswith("bottom")]
    assert inside == ["conv1", "cond", "conv2"]


def test_a_block_has_the_parameters_of_its_joins(compose_tiny) -> None:
    config = compose_tiny("connection=layerscale", "depth=8").config
    model = network(config)
    found = blocks(model)
    assert [block.index for block in found] == list(range(8))
    for index, path in (
        (0, "encoder.0.joins.0"),
        (3, "encoder.1.joins.1"),
        (5, "bottom.joins.1"),
        (6, "decoder.0.joins.0"),
    ):
        expected = {id(parameter) for parameter in model.get_submodule(path).parameters()}
        assert {id(parameter) for parameter in found[index].parameters} == expected
        assert any(parameter is model.get_submodule(path).connection.gamma for parameter in found[index].parameters)


def test_looking_for_layers_leaves_the_model_and_the_generators_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    before = torch.get_rng_state()
    layers = weight_layers(model, torch.ones(2, 3))
    assert [layer.path for layer in layers] == ["0", "2"]
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module._forward_pre_hooks for module in model.modules())
