"""The U-Net's shapes, bridges and refusals."""

import pytest
import torch

from skiplab.errors import SkiplabError
from small_networks import Noise
from tiny_trials import network


@pytest.fixture
def make(compose_tiny):
    def made(*overrides: str, sides: tuple[int, int] = (8, 8)):
        return network(compose_tiny(*overrides).config, Noise(1, *sides)).eval()

    return made


LEVEL = torch.tensor([0.1, 0.9])


@pytest.mark.parametrize("sides", [(8, 8), (16, 16), (6, 10), (2, 2)])
def test_output_has_the_inputs_shape(sides: tuple[int, int], make) -> None:
    assert make(sides=sides)(torch.zeros(2, 1, *sides), LEVEL).shape == (2, 1, *sides)


@pytest.mark.parametrize("sides", [(7, 8), (8, 9)])
def test_sides_that_cannot_be_halved_are_refused(sides: tuple[int, int], make) -> None:
    with pytest.raises(SkiplabError, match="needs sides divisible by 2"):
        make(sides=sides)
    with pytest.raises(SkiplabError, match="needs sides divisible by 4"):
        make("backbone.channel_multipliers=[1,1,1]", "depth=6", sides=(8, 6))


@pytest.mark.parametrize("multipliers", ["[]", "[1,0]", "[-1]"])
def test_levels_without_channels_are_refused(multipliers: str, make) -> None:
    with pytest.raises(SkiplabError, match=r"channel_multipliers=.*one whole number from 1"):
        make(f"backbone.channel_multipliers={multipliers}")


def silence_the_bottom(model) -> None:
    """Nothing of the lower level reaches the decoder."""
    for up in model.up:
        torch.nn.init.zeros_(up.conv.weight)
        torch.nn.init.zeros_(up.conv.bias)


@pytest.mark.parametrize(("long_skip", "passes"), [("concat", True), ("add", True), ("none", False)])
def test_only_a_long_skip_passes_the_bottom_by(long_skip: str, passes: bool, make) -> None:
    model = make(f"long_skip={long_skip}", "connection=identity")
    silence_the_bottom(model)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x, LEVEL), model(2 * x, LEVEL)) != passes


def test_the_noise_level_is_heard(make) -> None:
    model, x = make(), torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(model(x, LEVEL), model(x, LEVEL.flip(0)))


def test_with_unequal_widths_add_is_refused(make) -> None:
    from skiplab.blocks.long_skips.add import Add

    with pytest.raises(SkiplabError, match="equal widths, and the stream has 8 channels and the skip 16"):
        Add(8, 16)
