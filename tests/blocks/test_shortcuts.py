"""What crosses a change of width or resolution; a trained shortcut that nothing passes through is refused."""

import pytest
import torch
from torch.nn import functional as F

from skiplab.blocks.shortcuts.projection import Projection
from skiplab.errors import SkiplabError
from small_networks import DATA, small
from tiny_trials import network


def test_projection_is_a_strided_1x1_convolution() -> None:
    shortcut = Projection(6, 4, 2)
    x = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = F.conv2d(x, shortcut.linear.weight[:, :, None, None], shortcut.linear.bias, stride=2)
    assert torch.allclose(shortcut(x), expected, atol=1e-6)


def test_projection_without_a_change_of_width_has_no_parameters() -> None:
    shortcut = Projection(6, 6, 2)
    assert not list(shortcut.parameters())
    x = torch.arange(96.0).view(1, 6, 4, 4)
    assert torch.equal(shortcut(x), x[:, :, ::2, ::2])


@pytest.mark.parametrize("connection", ["plain", "scaled"])
def test_a_connection_without_the_stream_refuses_trained_shortcuts(connection: str) -> None:
    config = small(connection=connection, shortcut="projection")
    if connection == "scaled":
        config.connection.stream_factor = 0.0
    with pytest.raises(SkiplabError, match=r"shortcut=projection has parameters.*take shortcut=zero_pad"):
        network(config, DATA["images"])


def test_a_connection_with_the_stream_takes_them() -> None:
    model = network(small(connection="hyper_connections", shortcut="projection"), DATA["images"])
    assert model.encoder[1].shortcut.linear.weight.shape == (16, 8)
