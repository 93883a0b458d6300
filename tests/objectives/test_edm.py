"""EDM's preconditioning equals the source's closed forms, and keeps its target at variance 1 for any c_skip."""

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.objectives.predictions.edm import EDM

SIGMA_DATA = 0.6
SIGMA = torch.tensor([0.01, 0.3, 0.6, 2.0, 80.0], dtype=torch.float64)
ONE = torch.ones_like(SIGMA)


def test_equals_the_source_where_alpha_is_one():
    made = EDM(sigma_data=SIGMA_DATA, c_skip="edm")
    c_skip = SIGMA_DATA**2 / (SIGMA**2 + SIGMA_DATA**2)
    c_out = SIGMA * SIGMA_DATA / torch.sqrt(SIGMA**2 + SIGMA_DATA**2)
    x0, noise = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = (x0 - c_skip * (x0 + SIGMA * noise)) / c_out
    assert torch.allclose(made.target(x0, noise, ONE, SIGMA), expected, rtol=1e-12)
    assert torch.allclose(made.input_scale(ONE, SIGMA), 1 / torch.sqrt(SIGMA**2 + SIGMA_DATA**2), rtol=1e-12)


@pytest.mark.parametrize("c_skip", ["edm", 0.0, 1.0, 0.4])
def test_input_and_target_have_variance_one(c_skip):
    made = EDM(sigma_data=SIGMA_DATA, c_skip=c_skip)
    alpha, sigma = torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.7, 1.1]], dtype=torch.float64)
    one = torch.ones_like(alpha)
    a, b = made.coefficients(alpha, sigma)
    assert torch.allclose(a**2 * SIGMA_DATA**2 + b**2, one, rtol=1e-12)
    variance = alpha**2 * SIGMA_DATA**2 + sigma**2
    assert torch.allclose(made.input_scale(alpha, sigma) ** 2 * variance, one, rtol=1e-12)


def test_extremes_of_c_skip_are_the_whole_and_the_increment():
    x0, noise = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = EDM(sigma_data=SIGMA_DATA, c_skip=0.0).target(x0, noise, ONE, SIGMA)
    increment = EDM(sigma_data=SIGMA_DATA, c_skip=1.0).target(x0, noise, ONE, SIGMA)
    assert torch.allclose(whole, x0 / SIGMA_DATA, rtol=1e-12)
    assert torch.allclose(increment, -noise, rtol=1e-12)


@pytest.mark.parametrize(("given", "named"), [({"sigma_data": 0.0}, "sigma_data=0.0"), ({"c_skip": "x"}, "c_skip=x")])
def test_invalid_values_are_named(given, named):
    with pytest.raises(SkiplabError, match=named):
        EDM(**{"sigma_data": 1.0, "c_skip": "edm"} | given)
