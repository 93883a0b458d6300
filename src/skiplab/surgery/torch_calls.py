"""Torch functions by which two tensors become one, and the module in whose code one is called."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

Form = Literal["addition", "subtraction", "interpolation", "product sum", "concatenation"]


def _functions(*names: str) -> set[Any]:
    """What these are called as functions of torch, and as methods of a tensor."""
    return {getattr(place, name) for place in (torch, Tensor) for name in names if hasattr(place, name)}


_BY_FORM: Mapping[Form, set[Any]] = {
    "addition": _functions("add", "add_", "__add__", "__radd__", "__iadd__"),
    "subtraction": _functions("sub", "sub_", "subtract", "subtract_", "rsub", "__sub__", "__rsub__", "__isub__"),
    "interpolation": _functions("lerp", "lerp_"),
    "product sum": _functions("addcmul", "addcmul_"),
    "concatenation": _functions("cat", "concat", "concatenate"),
}
FORMS: Mapping[Any, Form] = {function: form for form, functions in _BY_FORM.items() for function in functions}
SUBTRACTIONS = _BY_FORM["subtraction"]
PRODUCTS = _functions("mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__")

_CALL = nn.Module._call_impl.__code__
_CHECKPOINT = torch.utils.checkpoint.__file__


class Site(NamedTuple):
    """Where in the code a function is called: the same at each pass through it."""

    file: str
    function: str
    instruction: int

    @classmethod
    def of(cls, frame: FrameType) -> "Site":
        return cls(frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lasti)


class Sum(NamedTuple):
    """An addition of two tensors, left + alpha * right; target: where it is written to, None for a new tensor."""

    left: Tensor
    right: Tensor
    alpha: float
    target: Tensor | None


def as_sum(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sum | None:
    """The addition of two floating-point tensors that a call is; None where it is another one."""
    if FORMS.get(function) != "addition":
        return None
    operands = (*args, *(kwargs[name] for name in ("input", "other") if name in kwargs))
    if len(operands) != 2 or not all(isinstance(each, Tensor) and each.is_floating_point() for each in operands):
        return None
    left, right = operands
    in_place = function.__name__ in ("add_", "__iadd__")
    return Sum(left, right, kwargs.get("alpha", 1), left if in_place else kwargs.get("out"))


def calling_modules(frame: FrameType | None) -> Iterator[nn.Module]:
    """The modules that are being called around a frame, the innermost first."""
    while frame is not None:
        if frame.f_code is _CALL:
            yield frame.f_locals["self"]
        frame = frame.f_back


def innermost(frame: FrameType | None, forward: CodeType) -> nn.Module | None:
    """The module whose call, or whose forward of this code, stands nearest around a frame.

    A forward may run without a call around it, where gradient checkpointing repeats it.
    """
    while frame is not None and frame.f_code is not _CALL and frame.f_code is not forward:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["self"]


def checkpointed(frame: FrameType | None, forward: CodeType) -> bool:
    """Whether gradient checkpointing stands between a frame and the forward of this code around it."""
    while frame is not None and frame.f_code is not forward:
        if frame.f_code.co_filename == _CHECKPOINT:
            return True
        frame = frame.f_back
    return False


def caller() -> FrameType:
    """The frame in which the function was called that a mode intercepts; called from `__torch_function__`."""
    return sys._getframe(2)
