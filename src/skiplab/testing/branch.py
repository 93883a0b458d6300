"""The contract of a branch."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.inits.default import Default
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError
from skiplab.seeding import initialise
from skiplab.testing.rules import (
    BATCH,
    check_initialisation,
    draw,
    named,
    randomise_zeros,
    reached,
    require,
    shape_of,
)

_COND_WIDTH = 4
_POSITIONS = {2: (8, 8), 1: (9,), 0: ()}
# width_in, width_out, stride: inside a stage, where the width changes, where the resolution changes too
_SIZES = ((16, 16, 1), (16, 24, 1), (24, 16, 1), (16, 24, 2))


def check_branch(make: Callable[[BranchSpec], Branch]) -> None:
    """Hold a branch to its contract, on streams of images, tokens and points as its `position_dims` says.

    Every branch of the block gives an update of `width_out` channels at 1 / stride of the resolution, finite and
    deterministic in evaluation mode; it never adds its input; with the parameters of `last` at zero its update is
    zero; it uses the conditioning that it is given; gradients reach its input and every parameter; its initial
    weights depend on (seed, path) alone. Streams that `position_dims` leaves out are refused with a SkiplabError,
    and other specifications than those inside a stage may be refused.

    Args:
        make: builds the branch of a specification, such as `lambda spec: Basic(spec, kernel_size=3, bias=True)`.

    Raises:
        AssertionError: with a sentence that says which rule is broken.
    """
    worked_on = {dims for dims in _POSITIONS if _refusal(make, _spec(dims, *_SIZES[0], _COND_WIDTH)) is None}
    if not worked_on:
        reason = _refusal(make, _spec(2, *_SIZES[0], _COND_WIDTH))
        raise AssertionError(
            f"refuses the specification of a block inside a stage, of images, tokens and points: {reason}"
        )
    named_dims = set(make(_spec(max(worked_on), *_SIZES[0], _COND_WIDTH)).position_dims)
    same = f"takes streams of {sorted(worked_on)} position axes, and position_dims names {sorted(named_dims)}"
    require(worked_on == named_dims, same)
    for dims in worked_on:
        for width_in, width_out, stride in _SIZES:
            for cond_width in (_COND_WIDTH, 0):
                spec = _spec(dims, width_in, width_out, stride, cond_width)
                where = (
                    f"with position_dims={dims}, width_in={width_in}, width_out={width_out}, stride={stride}, "
                    f"cond_width={cond_width}"
                )
                with named(where):
                    if (width_in, stride) != (width_out, 1) and _refusal(make, spec):
                        continue
                    _check_parts(make(spec).parts(), spec)
                    check_initialisation(lambda spec=spec: nn.ModuleList(make(spec).parts()))


def _spec(position_dims: int, width_in: int, width_out: int, stride: int, cond_width: int) -> BranchSpec:
    return BranchSpec(
        width_in=width_in,
        width_out=width_out,
        stride=stride,
        position_dims=position_dims,
        cond_width=cond_width,
        norm=lambda width: nn.GroupNorm(2, width),
        activation=nn.SiLU,
    )


def _refusal(make: Callable[[BranchSpec], Branch], spec: BranchSpec) -> str | None:
    """Why the specification is refused; None where it isn't."""
    try:
        make(spec).parts()
    except SkiplabError as error:
        return str(error)
    return None


def _check_parts(parts: Sequence[Branch], spec: BranchSpec) -> None:
    require(len(parts) > 0, "parts() is empty; a block has at least one branch")
    for part in parts:
        require(isinstance(part, Branch), f"{type(part).__name__} is no subclass of Branch")
        after = part.activation_after_join
        require(isinstance(after, nn.Module), "activation_after_join is no module; nn.Identity() stands for none")
    initialise(nn.ModuleList(parts), Default(), seed=0)
    randomise_zeros(parts)
    cond = draw("cond", BATCH, spec.cond_width).requires_grad_() if spec.cond_width else None
    positions = _POSITIONS[spec.position_dims]
    x = draw("input", BATCH, spec.width_in, *positions).requires_grad_()
    kept = x.detach().clone()
    expected = str((BATCH, spec.width_out, *(side // spec.stride for side in positions)))
    stream = x
    for index, part in enumerate(parts):
        update = part(stream, cond)
        require(shape_of(update) == expected, f"part {index} gives {shape_of(update)}, not {expected}")
        require(bool(update.isfinite().all()), f"part {index}'s update isn't finite")
        same = torch.equal(update, part(stream, cond))
        require(same, f"part {index} gives another update for the same input in evaluation mode")
        _check_adds_nothing(part, stream.detach(), cond, index)
        _check_last(part, stream.detach(), cond, index)
        stream = part.activation_after_join(update)
    require(torch.equal(x.detach(), kept), "the input is overwritten")
    (stream * draw("weights", *stream.shape)).sum().backward()
    require(reached(x.grad), "no gradient reaches the input")
    require(cond is None or reached(cond.grad), "no gradient reaches the conditioning")
    for index, part in enumerate(parts):
        for name, parameter in part.named_parameters():
            require(reached(parameter.grad), f"no gradient reaches parameter {name} of part {index}")


@torch.no_grad()
def _check_adds_nothing(part: Branch, stream: Tensor, cond: Tensor | None, index: int) -> None:
    """A branch with all parameters at zero knows nothing of its input, unless it adds it."""
    blank = deepcopy(part)
    parameters = list(blank.parameters())
    for parameter in parameters:
        parameter.zero_()
    other = draw("other", *stream.shape)
    adds = bool(parameters) and not torch.equal(blank(stream, cond), blank(other, cond))
    require(not adds, f"part {index}'s update follows its input with every parameter at zero; a branch never adds")


@torch.no_grad()
def _check_last(part: Branch, stream: Tensor, cond: Tensor | None, index: int) -> None:
    part = deepcopy(part)
    if not list(part.parameters()):
        return
    try:
        last = part.last
    except NotImplementedError as error:
        raise AssertionError(f"{error}, the module whose parameters at zero make the update zero") from error
    own = list(last.parameters(recurse=False)) if last in set(part.modules()) else []
    require(bool(own), f"last of part {index} is no module of the branch with parameters of its own")
    for parameter in own:
        parameter.zero_()
    zero = not part(stream, cond).any()
    require(zero, f"part {index}'s update isn't zero with the parameters of last ({type(last).__name__}) at zero")
