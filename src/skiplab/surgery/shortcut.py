"""The shortcuts of a network, as a table to read and as a data frame."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, overload

from torch import nn

from skiplab.errors import SkiplabError
from skiplab.surgery.torch_calls import CallSite, Operation

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["identity", "projection", "conditioning", "long skip"]
KINDS: tuple[Kind, ...] = ("identity", "projection", "conditioning", "long skip")
_COLUMNS = ("path", "call", "kind", "operation", "stage", "shape", "branch")


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A point of a network at which a stream that bypasses a branch is combined with the branch's update.

    path: path of the module whose code combines them; '' is the model itself.
    call: its number among the operations of the same kind in one call of that module, from 0.
    kind: 'identity', if the branch reads the stream; 'projection', if stream and update are both computed from the
        input of the block; 'long skip', from encoder to decoder; 'conditioning', if the embedding of another input is
        added, which isn't a shortcut.
    operation: the operation that combines them; connections can only replace additions.
    shape: shape of the result, with the batch of the example.
    stage: number of its stage, from 0; -1 for other kinds. A stage is a run of consecutive identities and projections
        whose streams have equal shapes.
    branch: paths of the modules that compute the update, in their order; empty for conditioning.
    stream_first: whether the stream is the left operand.
    channel_dim: dimension of the stream's channels.
    site: position of the operation in the code.
    """

    path: str
    call: int
    kind: Kind
    operation: Operation
    shape: tuple[int, ...]
    stage: int
    branch: tuple[str, ...]
    stream_first: bool
    channel_dim: int
    site: CallSite

    @property
    def width(self) -> int:
        """Channels of the stream."""
        return self.shape[self.channel_dim]

    def __str__(self) -> str:
        return f"{self.operation} {self.call} of {self.path or 'the model'}"


class Shortcuts(Sequence[Shortcut]):
    """The shortcuts of a model, in the order in which it computes them.

    model: the model in which they were found.
    sums: for each module path, the additions of two tensors in one call; None if calls of the module differ.
    called: for each module path, the paths of the modules that it calls and that have submodules.
    """

    def __init__(
        self,
        model: nn.Module,
        found: Sequence[Shortcut],
        sums: Mapping[str, tuple[CallSite, ...] | None],
        called: Mapping[str, Collection[str]],
    ) -> None:
        self.model, self.sums, self.called = model, sums, called
        self._found = tuple(found)

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Shortcut: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Shortcut, ...]: ...
    def __getitem__(self, index: int | slice) -> Shortcut | tuple[Shortcut, ...]:
        return self._found[index]

    def where(
        self, *, path: str = "*", kind: Kind | Sequence[Kind] = KINDS, stage: int | Sequence[int] | None = None
    ) -> "Shortcuts":
        """The shortcuts of these kinds and stages whose path matches a pattern, such as 'down_blocks.*'.

        Raises:
            SkiplabError: if there are none; the message lists all shortcuts.
        """
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        if unknown := [each for each in kinds if each not in KINDS]:
            raise SkiplabError(f"kind={unknown[0]!r} is invalid; valid: {', '.join(KINDS)}")
        stages = (stage,) if isinstance(stage, int) else stage
        selected = [
            each
            for each in self
            if fnmatchcase(each.path, path) and each.kind in kinds and (stages is None or each.stage in stages)
        ]
        if not selected:
            wanted = f"path={path!r}, kind={', '.join(kinds)}" + ("" if stages is None else f", stage={stage}")
            raise SkiplabError(f"no shortcut has {wanted}; take some of these:\n{self}")
        return Shortcuts(self.model, selected, self.sums, self.called)

    def replaceable(self) -> "Shortcuts":
        """The shortcuts that a connection can replace: additions that aren't conditioning.

        Raises:
            SkiplabError: if there are none.
        """
        selected = [each for each in self if each.kind != "conditioning" and each.operation == "addition"]
        if not selected:
            raise SkiplabError(f"{type(self.model).__name__} has no addition that a connection can replace:\n{self}")
        return Shortcuts(self.model, selected, self.sums, self.called)

    def frame(self) -> "pd.DataFrame":
        """One row per shortcut, with the columns of the table."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(each, name) for name in _COLUMNS} for each in self], columns=_COLUMNS)

    def __str__(self) -> str:
        """The shortcuts as a table."""
        if not self:
            return f"{type(self.model).__name__} has no shortcuts"
        rows = [_COLUMNS, *(_row(each) for each in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    __repr__ = __str__


def _row(shortcut: Shortcut) -> tuple[str, ...]:
    own = {name: getattr(shortcut, name) for name in _COLUMNS}
    within = f"{shortcut.path}."
    own["branch"] = " ".join(name.removeprefix(within) for name in shortcut.branch)
    own["path"] = shortcut.path or "(the model)"
    own["shape"] = "x".join(map(str, shortcut.shape))
    own["operation"] = (
        shortcut.operation if shortcut.operation == "addition" else f"{shortcut.operation}, not replaceable"
    )
    return tuple(str(own[name] if own[name] != -1 else "") for name in _COLUMNS)
