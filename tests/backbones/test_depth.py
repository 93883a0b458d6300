"""Depth counts the blocks on the longest path, on every backbone; an impossible depth names its neighbours."""

import pytest
import torch

from option_files import backbones
from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from skiplab.layers import evaluating
from small_networks import DATA, home, small
from tiny_trials import network


def model_of(compose_tiny, backbone: str, depth: int, *overrides: str):
    long_skip = "concat" if backbone == "unet" else "none"
    config = compose_tiny(f"backbone={backbone}", f"long_skip={long_skip}", f"depth={depth}", *overrides).config
    return network(config)


def called_joins(model) -> list[int]:
    """Block numbers in the order in which one forward pass runs them; a repeated one would be counted twice."""
    order: list[int] = []
    for module in model.modules():
        if isinstance(module, Join):
            # a transition calls the branch, not the join
            module.branch.register_forward_pre_hook(lambda branch, _, index=module.block_index: order.append(index))
    level = () if model.spec.num_logits else (torch.full((1,), 0.5),)
    with evaluating(model):
        model(torch.zeros(1, *model.spec.shape), *level)
    return order


@pytest.mark.parametrize("more", [0, 12])
@pytest.mark.parametrize("backbone", backbones())
def test_blocks_run_once_each_from_input_to_output(backbone: str, more: int) -> None:
    place = home(backbone)
    choices = {"backbone": backbone, "branch": place.branch, "objective": place.objective, "depth": place.depth + more}
    model = network(small(long_skip=place.long_skip, **choices), DATA[place.data])
    order = called_joins(model)
    assert order == sorted(order)
    assert set(order) == set(range(place.depth + more))
    assert len(order) == len(set(order)) or backbone == "ddpm_unet"  # an attention is a join of its own in its block


@pytest.mark.parametrize("branch", ["transformer", "preact"])
def test_a_block_of_two_joins_counts_once(branch: str) -> None:
    model = network(small(backbone="dit", branch=branch, long_skip="none", depth=3), DATA["images"])
    assert called_joins(model) == ([0, 0, 1, 1, 2, 2] if branch == "transformer" else [0, 1, 2])


def test_three_levels_take_multiples_of_six(compose_tiny) -> None:
    levels = "backbone.channel_multipliers=[1,2,2]"
    assert called_joins(model_of(compose_tiny, "unet", 6, levels)) == list(range(6))
    with pytest.raises(SkiplabError, match="valid: 6 and every 6 more, nearest 6 and 12"):
        model_of(compose_tiny, "unet", 8, levels)


@pytest.mark.parametrize(
    ("depth", "nearest"),
    [(1, "nearest 4"), (6, "nearest 4 and 8"), (9, "nearest 8 and 12"), (0, "nearest 4"), (-4, "nearest 4")],
)
def test_impossible_depth_names_the_nearest(depth: int, nearest: str, compose_tiny) -> None:
    with pytest.raises(SkiplabError) as refused:
        model_of(compose_tiny, "unet", depth)
    message = str(refused.value)
    assert f"depth={depth} is impossible for backbone=unet" in message
    assert message.endswith(nearest)


def test_isotropic_takes_any_depth_from_one(compose_tiny) -> None:
    assert called_joins(model_of(compose_tiny, "isotropic", 1)) == [0]
    assert called_joins(model_of(compose_tiny, "isotropic", 3)) == [0, 1, 2]
    with pytest.raises(SkiplabError, match="every whole number from 1, nearest 1"):
        model_of(compose_tiny, "isotropic", 0)
