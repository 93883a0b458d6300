"""The contract of a branch."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.blocks.specification import BranchSpec
from skiplab.errors import SkiplabError
from skiplab.testing.rules import (
    BATCH,
    check_initialization,
    draw,
    named,
    randomize_zeros,
    reached,
    require,
    shape_of,
)

_COND_WIDTH = 4
_POSITIONS = {2: (8, 8), 1: (9,), 0: ()}
# width_in, width_out, stride: constant, a change of width, a change of width and resolution
_SIZES = ((16, 16, 1), (16, 24, 1), (24, 16, 1), (16, 24, 2))


def check_branch(make: Callable[[BranchSpec], Branch]) -> None:
    """Check the contract of a branch, on the streams of images, tokens and points in its `position_dims`.

    Every branch of the block returns an update of `width_out` channels at 1 / stride of the resolution, which is finite
    and deterministic in evaluation mode. It never adds its input. If the parameters of `last` are zero, its update is
    zero. It uses its conditioning. Gradients reach its input and every parameter. Its initial weights depend on (seed,
    path) alone. It refuses streams that aren't in `position_dims` with a SkiplabError, and may refuse a change of width
    or resolution.

    Args:
        make: builds the branch of a specification, such as `lambda spec: Basic(spec, kernel_size=3, bias=True)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    supported = {dims for dims in _POSITIONS if _refusal(make, _spec(dims, *_SIZES[0], _COND_WIDTH)) is None}
    if not supported:
        reason = _refusal(make, _spec(2, *_SIZES[0], _COND_WIDTH))
        raise AssertionError(f"it refuses images, tokens and points, at constant width and resolution: {reason}")
    named_dims = set(make(_spec(max(supported), *_SIZES[0], _COND_WIDTH)).position_dims)
    same = f"it supports streams of {sorted(supported)} position axes, and position_dims names {sorted(named_dims)}"
    require(supported == named_dims, same)
    for dims in supported:
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
                    _check_branches(make(spec).branches(), spec)
                    check_initialization(lambda spec=spec: nn.ModuleList(make(spec).branches()))


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
    """Why the specification is refused; None if it isn't."""
    try:
        make(spec).branches()
    except SkiplabError as error:
        return str(error)
    return None


def _check_branches(branches: Sequence[Branch], spec: BranchSpec) -> None:
    require(len(branches) > 0, "branches() is empty; return at least one branch")
    for branch in branches:
        require(isinstance(branch, Branch), f"{type(branch).__name__} is not a subclass of Branch")
        after = branch.activation_after_join
        require(isinstance(after, nn.Module), "activation_after_join is not a module; use nn.Identity() for none")
    initialize(nn.ModuleList(branches), Default(), seed=0)
    randomize_zeros(branches)
    cond = draw("cond", BATCH, spec.cond_width).requires_grad_() if spec.cond_width else None
    positions = _POSITIONS[spec.position_dims]
    x = draw("input", BATCH, spec.width_in, *positions).requires_grad_()
    original = x.detach().clone()
    expected = str((BATCH, spec.width_out, *(side // spec.stride for side in positions)))
    stream = x
    for index, branch in enumerate(branches):
        update = branch(stream, cond)
        require(shape_of(update) == expected, f"branch {index} returns {shape_of(update)}, not {expected}")
        require(bool(update.isfinite().all()), f"branch {index}'s update isn't finite")
        same = torch.equal(update, branch(stream, cond))
        require(same, f"branch {index} returns another update for the same input in evaluation mode")
        _check_adds_nothing(branch, stream.detach(), cond, index)
        _check_last(branch, stream.detach(), cond, index)
        stream = branch.activation_after_join(update)
    require(torch.equal(x.detach(), original), "the input is overwritten")
    (stream * draw("weights", *stream.shape)).sum().backward()
    require(reached(x.grad), "no gradient reaches the input")
    require(cond is None or reached(cond.grad), "no gradient reaches the conditioning")
    for index, branch in enumerate(branches):
        for name, parameter in branch.named_parameters():
            require(reached(parameter.grad), f"no gradient reaches parameter {name} of branch {index}")


@torch.no_grad()
def _check_adds_nothing(branch: Branch, stream: Tensor, cond: Tensor | None, index: int) -> None:
    """With all parameters at zero, a branch is independent of its input, unless it adds the input."""
    blank = deepcopy(branch)
    parameters = list(blank.parameters())
    for parameter in parameters:
        parameter.zero_()
    other = draw("other", *stream.shape)
    adds = bool(parameters) and not torch.equal(blank(stream, cond), blank(other, cond))
    require(not adds, f"branch {index}'s update depends on its input with every parameter at zero; a branch never adds")


@torch.no_grad()
def _check_last(branch: Branch, stream: Tensor, cond: Tensor | None, index: int) -> None:
    branch = deepcopy(branch)
    if not list(branch.parameters()):
        return
    try:
        last = branch.last
    except NotImplementedError as error:
        raise AssertionError(f"{error}: the module that makes the update zero if its parameters are zero") from error
    own = list(last.parameters(recurse=False)) if last in set(branch.modules()) else []
    require(bool(own), f"last of branch {index} is not a module of the branch with parameters of its own")
    for parameter in own:
        parameter.zero_()
    zero = not branch(stream, cond).any()
    require(zero, f"branch {index}'s update isn't zero with the parameters of last ({type(last).__name__}) at zero")
