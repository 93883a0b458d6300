"""What a merge means."""

from dataclasses import dataclass, field

from skiplab.surgery.merge import Merge
from skiplab.surgery.shortcut import Kind
from skiplab.surgery.torch_calls import CallSite, Operation
from skiplab.surgery.value import Value


@dataclass(eq=False)
class Reading:
    """What a merge means.

    kind, operation: of the shortcut.
    form: the kind that it would have if its update were used nowhere else.
    merge: the last of the merges that make the sum.
    earlier: merges before it that belong to the same sum, and whose operands are the stream and earlier updates.
    stream, update: the operands of the first of these merges.
    fork: the value at which stream and branch part; None for conditioning.
    branch: what is computed between the fork and the updates.
    """

    kind: Kind
    form: Kind
    operation: Operation
    merge: Merge
    stream: Value
    update: Value
    fork: Value | None = None
    branch: list[Value] = field(default_factory=list)
    earlier: list[Merge] = field(default_factory=list)

    @property
    def site(self) -> CallSite | None:
        return self.merge.call.site if self.merge.call is not None else None
