"""Connections that must coincide do so bit by bit, through a whole network."""

import pytest
import torch

from skiplab.blocks.block import Stage
from small_networks import small
from tiny_trials import network


def output(config, digits) -> torch.Tensor:
    model = network(config, digits)
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(x, torch.tensor([0.1, 0.5, 0.9]))


@pytest.mark.parametrize("branch", ["basic", "preact"])
@pytest.mark.parametrize(
    ("connection", "setting"),
    [("scaled", {}), ("layerscale", {"initial_scale": 1.0}), ("rezero", {"initial_alpha": 1.0})],
)
def test_equals_identity(connection: str, setting: dict, branch: str, digits) -> None:
    config = small(connection=connection, branch=branch)
    config.connection = {**config.connection, **setting}
    expected = output(small(connection="identity", branch=branch), digits)
    assert torch.equal(output(config, digits), expected)
    assert not torch.equal(output(small(connection="plain", branch=branch), digits), expected)


def test_scaled_by_nothing_of_the_stream_equals_plain(digits) -> None:
    config = small(connection="scaled")
    config.connection.stream_factor = 0.0
    assert torch.equal(output(config, digits), output(small(connection="plain"), digits))


def test_rezero_starts_as_its_input(digits) -> None:
    model = network(small(connection="rezero", backbone="isotropic", long_skip="none"), digits)
    (stage,) = (module for module in model.modules() if isinstance(module, Stage))
    x = torch.randn(3, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    cond = torch.randn(3, stage.cond_width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(stage(x, cond), x)
        for join in stage.joins:
            join.connection.alpha.fill_(0.1)
        assert not torch.allclose(stage(x, cond), x)
