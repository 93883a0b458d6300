"""A value that combines several values, and the call in a module's code that combined them."""

from dataclasses import dataclass

from skiplab.surgery.torch_calls import CallSite, Operation
from skiplab.surgery.value import Value


@dataclass(eq=False, slots=True)
class Call:
    """A call of a torch function in a module's code.

    operation: how it combines tensors; None if it doesn't.
    site: position of the call in the code.
    number: its number among the same operations in one call of its module, from 0.
    """

    operation: Operation | None
    site: CallSite
    number: int


@dataclass(eq=False, slots=True)
class Merge:
    """A value that combines several values.

    operands: what it combines; the first is the left one.
    call: the call in the code of a module that combined them; None if it is out of reach, inside another function.
    """

    operation: Operation
    operands: tuple[Value, ...]
    result: Value
    call: Call | None
