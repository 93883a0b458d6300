"""Guided by labels, every sampler draws what the closed form says."""

import pytest
import torch
from exact_draws import Mixture, draw, gaussian, make_sampler

from objectives_by_name import denoising
from option_files import options
from skiplab.errors import SkiplabError

SAMPLERS = options("sampler")
MIXTURE = Mixture([[0.8, 0.0], [-0.4, 0.7], [-0.5, -0.6]], weights=[0.5, 0.3, 0.2], spread=0.15)


@pytest.mark.parametrize("name", SAMPLERS)
def test_guidance_scale_1_draws_each_label_from_its_component(name: str) -> None:
    objective, labels = denoising("velocity", conditioning="label", num_classes=3), torch.arange(3).repeat(700)
    samples = draw(make_sampler(name, num_steps=400), objective, MIXTURE, (2100, 2), labels).double()
    for component, mean in enumerate(MIXTURE.means):
        own = samples[labels == component]
        assert torch.allclose(own.mean(dim=0), mean, atol=0.02)
        assert torch.allclose(own.std(dim=0), torch.full((2,), 0.15, dtype=torch.float64), rtol=0.08)


@pytest.mark.parametrize("name", SAMPLERS)
def test_guidance_scale_0_draws_as_if_no_label_were_known(name: str) -> None:
    objective, labels = denoising("velocity", conditioning="label", num_classes=3), torch.arange(3).repeat(20)
    sampler = make_sampler(name, num_steps=8)
    guided = draw(make_sampler(name, num_steps=8, guidance_scale=0.0), objective, MIXTURE, (60, 2), labels)
    assert torch.allclose(guided, draw(sampler, objective, MIXTURE, (60, 2)), atol=1e-5)
    assert not torch.allclose(guided, draw(sampler, objective, MIXTURE, (60, 2), labels), atol=0.1)


@pytest.mark.parametrize("prediction", options("prediction"))
@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_guidance_moves_the_mean_in_proportion(name: str, scale: float, prediction: str) -> None:
    """Of N(mean, spread^2) known and N(0, spread^2) unknown, the guided denoiser is that of N(scale mean, spread^2)."""
    objective = denoising(prediction, conditioning="label", num_classes=1)
    mean, spread = torch.tensor([0.2, -0.1], dtype=torch.float64), 0.3

    def told(x_t, alpha, sigma, labels):
        return gaussian(0.0 if labels is None else mean, spread)(x_t, alpha, sigma, labels)

    guided, plain = (make_sampler(name, num_steps=10, guidance_scale=each) for each in (scale, 1.0))
    found = draw(guided, objective, told, (64, 2), torch.zeros(64, dtype=torch.long))
    expected = draw(plain, objective, gaussian(scale * mean, spread), (64, 2))
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_refuses_to_guide_a_network_that_is_told_no_labels(name: str) -> None:
    for scale in (0.0, 2.0):
        with pytest.raises(SkiplabError, match=f"guidance_scale={scale} needs a network that is conditioned on labels"):
            make_sampler(name, guidance_scale=scale).check(denoising(num_classes=3))
        make_sampler(name, guidance_scale=scale).check(denoising(num_classes=3, conditioning="label"))
    make_sampler(name, guidance_scale=1.0).check(denoising(num_classes=3))
