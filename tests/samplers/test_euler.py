"""Euler's method in time is DDIM where the schedule is a straight line, and another method elsewhere."""

import pytest
import torch
from exact_draws import draw, gaussian, make_sampler

from objectives_by_name import denoising
from option_files import options


@pytest.mark.parametrize("schedule", options("noise_schedule"))
def test_is_ddim_on_a_straight_line_alone(schedule: str) -> None:
    objective = denoising("flow", noise_schedule=schedule)
    one, other = (
        draw(make_sampler(name, num_steps=7), objective, gaussian(0.3, 0.4), (16, 2)) for name in ("euler", "ddim")
    )
    assert torch.allclose(one, other, atol=1e-5) == (schedule == "straight")
