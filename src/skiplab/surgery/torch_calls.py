"""Torch functions that combine tensors, and the module whose code calls them."""

import opcode
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import checkpoint

Operation = Literal[
    "addition",
    "subtraction",
    "interpolation",
    "product sum",
    "concatenation",
    "stacked sum",
    "mixture",
    "sum with a product",
    "indexed addition",
    "hidden addition",
]


def _functions(*names: str) -> set[Any]:
    """The functions of torch and the methods of tensors with these names."""
    return {getattr(owner, name) for owner in (torch, Tensor) for name in names if hasattr(owner, name)}


_FUNCTIONS: Mapping[Operation, set[Any]] = {
    "addition": _functions("add", "add_", "__add__", "__radd__", "__iadd__"),
    "subtraction": _functions("sub", "sub_", "subtract", "subtract_", "rsub", "__sub__", "__rsub__", "__isub__"),
    "interpolation": _functions("lerp", "lerp_"),
    "product sum": _functions("addcmul", "addcmul_"),
    "concatenation": _functions("cat", "concat", "concatenate"),
    "mixture": _functions("where", "maximum", "minimum"),
}
OPERATIONS: Mapping[Any, Operation] = {
    function: operation for operation, functions in _FUNCTIONS.items() for function in functions
}

_CALL = nn.Module._call_impl.__code__
_PRECALL = opcode.opmap.get("PRECALL")  # of Python 3.11, which once runs a call from here and once from CALL behind it
_TO_CALL = 4  # bytes
_CHECKPOINT = checkpoint.__file__
_APPLY = torch.autograd.Function.apply.__func__.__code__


class CallSite(NamedTuple):
    """The position in the code at which a function is called; the same at each pass through the code."""

    file: str
    function: str
    instruction: int

    @classmethod
    def of(cls, frame: FrameType) -> "CallSite":
        code, at = frame.f_code, frame.f_lasti
        return cls(code.co_filename, code.co_qualname, at + _TO_CALL * (code.co_code[at] == _PRECALL))


class Sum(NamedTuple):
    """An addition of two tensors, left + alpha * right. target: the tensor that it overwrites, or None."""

    left: Tensor
    right: Tensor
    alpha: float
    target: Tensor | None


def as_sum(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sum | None:
    """A call as an addition of two tensors of real or complex numbers; None if it is something else."""
    if OPERATIONS.get(function) != "addition":
        return None
    operands = (*args, *(kwargs[name] for name in ("input", "other") if name in kwargs))
    if len(operands) != 2 or not all(map(is_numeric, operands)):
        return None
    left, right = operands
    in_place = function.__name__ in ("add_", "__iadd__")
    return Sum(left, right, kwargs.get("alpha", 1), left if in_place else kwargs.get("out"))


def is_numeric(operand: Any) -> bool:
    """Whether it is a tensor of real or complex numbers."""
    return isinstance(operand, Tensor) and (operand.is_floating_point() or operand.is_complex())


def calling_modules(frame: FrameType | None) -> Iterator[nn.Module]:
    """The modules whose calls are active around a frame, from the innermost outwards."""
    while frame is not None:
        if frame.f_code is _CALL:
            yield frame.f_locals["self"]
        frame = frame.f_back


def innermost(frame: FrameType | None, forward: CodeType) -> nn.Module | None:
    """The innermost module around a frame whose call, or whose forward of this code, is active.

    When gradient checkpointing repeats a forward, there is no call of the module around it.
    """
    while frame is not None and frame.f_code is not _CALL and frame.f_code is not forward:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["self"]


def checkpointed(frame: FrameType | None, forward: CodeType) -> bool:
    """Whether a frame is inside gradient checkpointing within the forward of this code."""
    while frame is not None and frame.f_code is not forward:
        if frame.f_code.co_filename == _CHECKPOINT:
            return True
        frame = frame.f_back
    return False


def in_own_function(frame: FrameType | None) -> bool:
    """Whether a frame is inside an autograd function within a module's code, which has a backward pass of its own."""
    while frame is not None and frame.f_code is not _CALL and frame.f_code.co_filename != _CHECKPOINT:
        if frame.f_code is _APPLY:
            return True
        frame = frame.f_back
    return False


def caller() -> FrameType:
    """The frame that called the function which a mode intercepts; to be called from `__torch_function__`."""
    return sys._getframe(2)
