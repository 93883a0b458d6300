"""Every connection holds its contract on images, tokens and points."""

import pytest
import torch
from hydra.utils import instantiate

from option_files import options
from skiplab.blocks.connections.layerscale import LayerScale
from skiplab.blocks.connections.rezero import ReZero
from skiplab.blocks.connections.scaled import Scaled
from skiplab.blocks.specification import JoinSpec
from skiplab.testing import check_connection
from tiny_trials import compose_config

SPEC = JoinSpec(width=2, index=0, num_joins=1, position=0, cond_width=0)
STREAM, UPDATE = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, -4.0]])


@pytest.mark.parametrize("option", options("connection"))
def test_holds_the_contract(option: str) -> None:
    check_connection(instantiate(compose_config(f"connection={option}").config.connection, _partial_=True))


def test_scaled_weighs_stream_and_update() -> None:
    joined = Scaled(SPEC, stream_factor=0.5, update_factor=0.25).join(STREAM, UPDATE, None)
    assert joined.tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize("option", [name for name in options("connection") if name.startswith("scaled_rsqrt2")])
def test_rsqrt2_keeps_the_variance_of_independent_terms(option: str) -> None:
    node = compose_config(f"connection={option}").config.connection
    assert node.stream_factor**2 + node.update_factor**2 == pytest.approx(1, abs=1e-15)


def test_layerscale_has_one_factor_a_channel() -> None:
    connection = LayerScale(SPEC, initial_scale=0.1)
    with torch.no_grad():
        connection.gamma.copy_(torch.tensor([0.5, 2.0]))
    assert connection.join(STREAM, UPDATE, None).tolist() == [[6.0, -6.0]]
    assert torch.equal(connection.join(STREAM[..., None], UPDATE[..., None], None), torch.tensor([[[6.0], [-6.0]]]))


def test_layerscale_and_rezero_start_at_what_they_are_told() -> None:
    assert LayerScale(SPEC, initial_scale=0.125).gamma.tolist() == [0.125, 0.125]
    assert ReZero(SPEC, initial_alpha=0.5).alpha.item() == 0.5
    assert ReZero(SPEC, initial_alpha=0.5).join(STREAM, UPDATE, None).tolist() == [[6.0, 0.0]]
