"""Sums of tensors that were stacked."""

from collections.abc import Sequence

from skiplab.surgery import aten
from skiplab.surgery.value import Value

_SUMS = ("sum", "mean")
_PRODUCTS = ("mm", "bmm", "mv", "addmv")


def stacked(name: str, read: Sequence[Value], result: Value) -> Value | None:
    """The stack of which a function sums the tensors, weighted or not; None if it sums something else."""
    if name not in _SUMS and name not in _PRODUCTS:
        return None
    for each in read:
        stack = _stack(each, ("stack", "cat"), weighted=True) if name in _SUMS else _stack(each, ("stack",))
        if stack is not None and result.size * len(stack.parents) <= stack.size:
            return stack
    return None


def _stack(value: Value, names: Sequence[str], *, weighted: bool = False) -> Value | None:
    """The stack that a value rearranges, or that it multiplies with weights."""
    while value.name not in names:
        if aten.rearranges(value.name) and len(value.parents) == 1:
            value = value.parents[0]
        elif weighted and value.name == "mul" and value.parents:
            weighted, value = False, value.parents[0]
        else:
            return None
    return value if len(value.parents) > 1 else None
