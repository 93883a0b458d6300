"""With lower_order_final the walk's last step is DDIM's, the solver of first order, and the others stay as they are."""

import pytest
import torch
from exact_draws import Exact, Mixture, make_sampler

from objectives_by_name import denoising
from option_files import options

MIXTURE = Mixture([[0.8, 0.0], [-0.4, 0.7]], weights=[0.6, 0.4], spread=0.2)


def seen(sampler, objective, path, x):
    """What the network reads along a path."""
    network, read = Exact(objective, MIXTURE), []
    network.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    sampler.denoise_along(path, x, network, objective, None, torch.Generator())
    return read


@pytest.mark.parametrize("clip", [0.5, None])
@pytest.mark.parametrize("schedule", options("noise_schedule"))
def test_the_last_step_is_ddims(schedule: str, clip: float | None) -> None:
    objective = denoising("x0", noise_schedule=schedule)
    path = objective.noise_schedule.path(6)
    start = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    second, mixed = (
        make_sampler("dpm_solver_2m", num_steps=6, clip=clip, lower_order_final=final) for final in (False, True)
    )
    found, of_second_order = (seen(sampler, objective, path, start) for sampler in (mixed, second))
    assert all(torch.equal(one, other) for one, other in zip(found[:5], of_second_order[:5], strict=True))
    _, last = seen(make_sampler("ddim", num_steps=2, clip=clip), objective, path[-2:], found[4])
    assert torch.allclose(found[5], last, atol=1e-5)
    assert not torch.allclose(found[5], of_second_order[5], atol=1e-3)
