"""What all checks share: how they report a broken rule, and rules for every module."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.seeding import keyed_generator

BATCH = 3
POSITIONS = {"images": (4, 4), "tokens": (5,), "points": ()}


def require(holds: bool, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Add to the message of a broken rule where it is broken; any other exception counts as a broken rule too."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error} ({where})") from None
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error} ({where})") from error


@contextmanager
def global_generator_untouched(what: str) -> Iterator[None]:
    """The rule that all randomness comes from the generators that are passed in."""
    before = torch.get_rng_state()
    yield
    require(torch.equal(torch.get_rng_state(), before), f"{what} draws from the global generator")


def draw(name: str, *shape: int) -> Tensor:
    return torch.randn(shape, generator=keyed_generator(0, f"testing/{name}"))


def shape_of(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def reached(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())


def randomize_zeros(modules: Sequence[nn.Module]) -> None:
    """Set parameters that start at zero to random values, so that gradients pass; sets evaluation mode."""
    with torch.no_grad():
        for number, module in enumerate(modules):
            module.eval()
            for name, parameter in module.named_parameters():
                if not parameter.all():
                    parameter.copy_(draw(f"zeros/{number}/{name}", *parameter.shape))


def check_initialization(make: Callable[[], nn.Module]) -> None:
    """The rule that initial values depend on (seed, path) alone."""
    states = []
    for state in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            module = make()
            try:
                initialize(module, Default(), seed=0)
            except TypeError as error:  # no reset_parameters()
                raise AssertionError(str(error)) from error
            states.append(module.state_dict())
    changed = ", ".join(name for name, value in states[0].items() if not torch.equal(value, states[1][name]))
    require(not changed, f"the global random state changes the initial {changed}; draw it in reset_parameters()")


def check_passes(
    module: nn.Module, inputs: Sequence[Tensor], others: Sequence[Any] = (), *, expected: tuple[int, ...]
) -> Tensor:
    """Check what holds for every module, and return its output.

    The output has the expected shape, is finite and the same each time. Inputs aren't overwritten. Gradients reach
    every input and every parameter (parameters that start at zero are randomized first).
    """
    initialize(module, Default(), seed=0)
    randomize_zeros([module])
    original = [tensor.clone() for tensor in inputs]
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = module(*leaves, *others)
    require(shape_of(output) == str(expected), f"it returns {shape_of(output)}, not {expected}")
    require(bool(output.isfinite().all()), "its output isn't finite")
    require(torch.equal(output, module(*leaves, *others)), "its output differs between calls in evaluation mode")
    intact = all(torch.equal(leaf.detach(), tensor) for leaf, tensor in zip(leaves, original, strict=True))
    require(intact, "the input is overwritten")
    (output * draw("weights", *output.shape)).sum().backward()
    for number, leaf in enumerate(leaves):
        require(reached(leaf.grad), f"no gradient reaches input {number}")
    for name, parameter in module.named_parameters():
        require(reached(parameter.grad), f"no gradient reaches parameter {name}")
    return output.detach()
