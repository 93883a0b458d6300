import torch
from torch.nn import functional as F

from skiplab.blocks.connections.conv_shortcut import ConvShortcut
from skiplab.blocks.specification import JoinSpec


def make(width: int) -> ConvShortcut:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConvShortcut(JoinSpec(width=width, index=0, num_joins=1, position=0, cond_width=0))


def test_is_a_1x1_convolution_of_the_stream() -> None:
    connection = make(4)
    stream, update = torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = F.conv2d(stream, connection.weight[:, :, None, None]) + update
    assert torch.allclose(connection.join(stream, update, None), expected, atol=1e-6)
    assert torch.allclose(connection.join(stream[..., 0, 0], update[..., 0, 0], None), expected[..., 0, 0], atol=1e-6)


def test_a_unit_matrix_is_the_identity() -> None:
    connection = make(4)
    torch.nn.init.eye_(connection.weight)
    stream, update = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(connection.join(stream, update, None), stream + update)


def test_keeps_the_streams_variance_at_the_start() -> None:
    stream = torch.randn(500, 200, generator=torch.Generator().manual_seed(1))
    joined = make(200).join(stream, torch.zeros_like(stream), None)
    assert abs(joined.var().item() - 1) < 0.05
