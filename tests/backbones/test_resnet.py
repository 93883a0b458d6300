"""The ResNet of He et al., layer by layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skiplab.errors import SkiplabError
from small_networks import DATA, small
from tiny_trials import network

X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def resnet(**choices):
    choices = {"branch": "basic", "activation": "relu", "depth": 3, "objective": "cross_entropy"} | choices
    return network(small(backbone="resnet", long_skip="none", **choices), DATA["images"]).eval()


def by_hand(model, connection: str) -> torch.Tensor:
    """Option A written out: every other pixel, new channels of zeros."""
    x = F.relu(model.stem[1](model.stem[0](X)))
    for stride, stage in zip((1, 2, 2), model.stages, strict=True):
        for number, join in enumerate(stage.joins):
            branch = join.branch
            update = branch.norm2(branch.conv2(F.relu(branch.norm1(branch.conv1(x)))))
            if number == 0 and stride == 2:
                x = torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], dim=1)
            x = F.relu(x + update if connection == "identity" else update)
    return model.head[-1](x.mean(dim=(2, 3)))


@pytest.mark.parametrize("depth", [3, 6])
@pytest.mark.parametrize("connection", ["identity", "plain"])
def test_equals_the_network_written_out(connection: str, depth: int) -> None:
    model = resnet(connection=connection, depth=depth)
    with torch.no_grad():
        assert torch.allclose(model(X), by_hand(model, connection), atol=1e-6)


def test_norm_and_activation_stand_where_the_branch_leaves_them_out() -> None:
    first, last = resnet(branch="basic"), resnet(branch="preact")
    assert [type(layer) for layer in first.stem] == [nn.Conv2d, type(first.stem[1]), nn.ReLU]
    assert len(first.head) == 2
    assert len(last.stem) == 1
    assert [type(layer) for layer in last.head][1] is nn.ReLU


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"depth": 4}, "depth=4 is impossible for backbone=resnet; valid: 3 and every 3 more, nearest 3 and 6"),
        ({"objective": "denoising"}, "backbone=resnet can't predict an image; take backbone=unet or isotropic"),
    ],
)
def test_what_it_does_not_support_is_refused(choices: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        resnet(**choices)
