"""The flow's target on a straight path is the path's derivative in time."""

import torch

from objectives_by_name import denoising


def test_target_is_the_derivative_of_the_path():
    made = denoising("flow", noise_schedule="straight")
    x0, noise = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    time, step = torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64), 1e-6
    labels = torch.zeros(4, dtype=torch.long)
    later, earlier = (made.noised(x0, noise, time + sign * step, labels).x_t for sign in (1, -1))
    assert torch.allclose(made.noised(x0, noise, time, labels).target, (later - earlier) / (2 * step), atol=1e-8)
