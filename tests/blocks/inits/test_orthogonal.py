"""Orthogonal weights keep the lengths of vectors and of whole images."""

import pytest
import torch
from torch import Tensor, nn

from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.orthogonal import Orthogonal
from skiplab.errors import SkiplabError


def started(module: nn.Module, gain: float = 1.0) -> nn.Module:
    initialize(module, Orthogonal(gain=gain), seed=0)
    return module.double()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (12, 8), (8, 12)])
@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_a_linear_maps_smaller_gram_matrix_is_gain_squared_times_the_identity(rows, columns, gain) -> None:
    weight = started(nn.Linear(columns, rows), gain).weight
    gram = weight @ weight.T if rows <= columns else weight.T @ weight
    torch.testing.assert_close(gram, gain**2 * torch.eye(min(rows, columns), dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 6, 3, padding=1),
        nn.Conv2d(6, 10, 5, padding=2),
        nn.Conv2d(6, 10, 1),
        nn.Conv2d(6, 6, 7, padding=3, groups=6),
        nn.Conv2d(6, 12, 3, padding=1, groups=3),
        nn.Conv2d(6, 24, 2, stride=2),
    ],
    ids=["3x3", "5x5 wider", "1x1 wider", "depthwise", "grouped", "patches"],
)
def test_a_convolution_keeps_the_length_of_every_image(conv: nn.Conv2d) -> None:
    x = draw(3, 6, 8, 8)
    y = started(conv)(x)
    torch.testing.assert_close(y.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-6, atol=0)
    assert not conv.bias.any()


def test_a_convolution_that_gets_narrower_is_a_projection_at_each_pixel() -> None:
    conv = started(nn.Conv2d(9, 4, 3, padding=1))
    weight = conv.weight[:, :, 1, 1]
    torch.testing.assert_close(weight @ weight.T, torch.eye(4, dtype=torch.float64), atol=1e-6, rtol=0)
    assert conv.weight.count_nonzero() == weight.count_nonzero()


def test_fifty_layers_keep_the_angle_between_two_images() -> None:
    layers = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(50)))
    x = draw(2, 4, 6, 6)
    y = started(layers)(x)
    angle = [torch.cosine_similarity(*pair.flatten(1), dim=0) for pair in (x, y)]
    torch.testing.assert_close(*angle, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_a_gain_that_is_not_above_zero_is_refused(gain: float) -> None:
    with pytest.raises(SkiplabError, match=rf"init\.gain={gain} is invalid; valid: a number above 0"):
        Orthogonal(gain=gain)
