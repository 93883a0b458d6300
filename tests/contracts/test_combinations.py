"""Every connection x branch x backbone runs forward and backward, or is refused with a reason."""

from collections import Counter
from itertools import product

import pytest
import torch

from option_files import backbones, options
from skiplab.errors import SkiplabError
from skiplab.training.build import build_objective
from small_networks import DATA, home, small
from tiny_trials import network

AXES = ("connection", "branch", "backbone", "long_skip")


def everything():
    """All of them; by default every pair of options once, and every connection with every branch on one backbone."""
    for backbone, branch, connection in product(backbones(), options("branch"), options("connection")):
        place = home(backbone)
        values = (connection, branch, backbone, place.long_skip)
        paired = branch == place.branch or connection in ("plain", "identity") or backbone == "isotropic"
        yield pytest.param(
            dict(zip(AXES, values, strict=True)), marks=[] if paired else [pytest.mark.slow], id="-".join(values)
        )


def bridges():
    for backbone, connection, long_skip in product(backbones(), ("plain", "identity"), options("long_skip")):
        values = (connection, home(backbone).branch, backbone, long_skip)
        yield pytest.param(dict(zip(AXES, values, strict=True)), id="-".join(values))


accepted: Counter[str] = Counter()


def randomise_zeros(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.all():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def check_refusal(message: str, combination: dict[str, str]) -> None:
    given = [f"{axis}={option}" for axis, option in combination.items()]
    assert any(part in message for part in given), f"the refusal names nothing of {given}: {message}"
    assert any(word in message for word in ("use", "add", "valid", "take")), f"says not what to do: {message}"


@pytest.mark.parametrize("combination", [*everything(), *bridges()])
def test_forward_backward_finite_and_every_parameter_gets_a_gradient(combination) -> None:
    place = home(combination["backbone"])
    config, data = small(**combination, objective=place.objective, depth=place.depth), DATA[place.data]
    generator = torch.Generator().manual_seed(1)
    objective = build_objective(config, data)
    x = torch.randn(2, *data.train.shape, generator=generator, dtype=torch.float64)
    told = [] if objective.num_logits else [torch.tensor([0.2, 0.9], dtype=torch.float64)]
    try:
        model = network(config, data).double().eval()
        randomise_zeros(model)
        output = model(x, *told)
    except SkiplabError as error:  # some know only what they are given: every trial runs one batch before it is opened
        check_refusal(str(error), combination)
        return
    accepted.update(f"{axis}={option}" for axis, option in combination.items())
    assert output.shape == ((2, objective.num_logits) if objective.num_logits else x.shape)
    assert output.isfinite().all()
    (output * torch.randn(output.shape, generator=generator, dtype=torch.float64)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part"
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-9, f"{name} gets no gradient"


def test_every_option_takes_part_in_an_accepted_combination() -> None:
    """Runs behind the combinations: a refusal of everything would otherwise pass."""
    if not accepted:
        pytest.skip("needs the combinations above")
    for axis in AXES:
        for option in backbones() if axis == "backbone" else options(axis):
            assert accepted[f"{axis}={option}"], f"{axis}={option} was refused everywhere"
