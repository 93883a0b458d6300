"""The shortcuts of a network, as a table to read, a drawing, and a data frame."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.surgery.torch_calls import CallSite, Operation

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["identity", "projection", "conditioning", "long skip", "uncertain"]
KINDS: tuple[Kind, ...] = ("identity", "projection", "conditioning", "long skip", "uncertain")
_COLUMNS = ("path", "call", "kind", "operation", "level", "stage", "shape", "branch")


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A point of a network at which a stream that bypasses a branch is combined with the branch's update.

    path: path of the module whose code combines them; '' is the model itself.
    call: its number among the operations of the same kind in one call of that module, from 0; -1 if it isn't in the
        module's own code.
    kind: 'identity', if the branch reads the stream; 'projection', if stream and update are both computed from the
        input of the block; 'long skip', from encoder to decoder; 'conditioning', if the embedding of another input is
        added, which isn't a shortcut; 'uncertain', with a doubt such as an update that is also used elsewhere.
    operation: the operation that combines them; connections can only replace additions.
    shape: shape of the result, with the batch of the example.
    level: in how many branches of other shortcuts it lies.
    stage: number of its stage, from 0; -1 for other kinds. A stage is a run of consecutive identities and projections
        whose streams have equal shapes.
    branch: paths of the modules that compute the update, in their order; empty for conditioning.
    earlier: numbers of the additions before it that belong to the same sum, as in x + a(x) + b(x).
    stream_first: whether the stream is the left operand of the first addition.
    channel_dim: dimension of the stream's channels.
    device: where the operation ran.
    site: position of the operation in the code.
    """

    path: str
    call: int
    kind: Kind
    operation: Operation
    shape: tuple[int, ...]
    level: int
    stage: int
    branch: tuple[str, ...]
    earlier: tuple[int, ...]
    stream_first: bool
    channel_dim: int
    device: torch.device
    site: CallSite

    @property
    def width(self) -> int:
        """Channels of the stream."""
        return self.shape[self.channel_dim]

    @property
    def is_replaceable(self) -> bool:
        """Whether a connection can replace it."""
        return self.operation == "addition" and self.kind != "conditioning"

    def __str__(self) -> str:
        return f"{self.operation} {self.call} of {self.path or 'the model'}"


class Shortcuts(Sequence[Shortcut]):
    """The shortcuts of a model, in the order in which it computes them; a slice of them is one again.

    model: the model in which they were found.
    sums: for each module path, the additions of two tensors in one call; None if calls of the module differ.
    called: for each module path, the paths of the modules that it calls and that have submodules.
    takes_uncertain: whether uncertain ones among them were chosen by their kind.
    """

    def __init__(
        self,
        model: nn.Module,
        found: Sequence[Shortcut],
        sums: Mapping[str, tuple[CallSite, ...] | None],
        called: Mapping[str, Collection[str]],
        *,
        takes_uncertain: bool = False,
    ) -> None:
        self.model, self.sums, self.called, self.takes_uncertain = model, sums, called, takes_uncertain
        self._found = tuple(found)

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Shortcut: ...
    @overload
    def __getitem__(self, index: slice) -> "Shortcuts": ...
    def __getitem__(self, index: int | slice) -> "Shortcut | Shortcuts":
        return self._some(self._found[index]) if isinstance(index, slice) else self._found[index]

    def _some(self, found: Sequence[Shortcut], *, takes_uncertain: bool = False) -> "Shortcuts":
        takes_uncertain = takes_uncertain or self.takes_uncertain
        return Shortcuts(self.model, found, self.sums, self.called, takes_uncertain=takes_uncertain)

    def where(
        self,
        *,
        path: str = "*",
        kind: Kind | Sequence[Kind] | None = None,
        stage: int | Sequence[int] | None = None,
        level: int | Sequence[int] | None = None,
        call: int | Sequence[int] | None = None,
        matching: Callable[[Shortcut], bool] | None = None,
    ) -> "Shortcuts":
        """The shortcuts that have all of these properties.

        Args:
            path: a pattern of module paths, such as 'down_blocks.*'.
            kind, stage, level, call: one value or several.
            matching: a function that says of a shortcut whether to take it.

        Raises:
            SkiplabError: if there are none; the message lists all shortcuts.
        """
        asked = {"kind": _several(kind), "stage": _several(stage), "level": _several(level), "call": _several(call)}
        kinds = asked["kind"] or ()
        if unknown := [each for each in kinds if each not in KINDS]:
            raise SkiplabError(f"kind={unknown[0]!r} is invalid; valid: {', '.join(KINDS)}")
        selected = [
            each
            for each in self
            if fnmatchcase(each.path, path)
            and all(values is None or getattr(each, name) in values for name, values in asked.items())
            and (matching is None or matching(each))
        ]
        if not selected:
            wanted = [f"path={path!r}"]
            wanted += [f"{n}={', '.join(map(str, values))}" for n, values in asked.items() if values is not None]
            wanted += ["the property that is asked for"] if matching is not None else []
            raise SkiplabError(f"no shortcut has {', '.join(wanted)}; take some of these:\n{self}")
        return self._some(selected, takes_uncertain="uncertain" in kinds)

    def without(self, others: "Shortcuts") -> "Shortcuts":
        """These shortcuts except others, such as `found.without(found.where(path='*.attention'))`."""
        excluded = set(others)
        return self._some([each for each in self if each not in excluded])

    def replaceable(self) -> "Shortcuts":
        """The shortcuts that a connection can replace: additions that aren't conditioning.

        Uncertain ones are left out unless they were chosen by `where(kind='uncertain')`.

        Raises:
            SkiplabError: if there are none.
        """
        selected = [each for each in self if each.is_replaceable and (self.takes_uncertain or each.kind != "uncertain")]
        if not selected:
            raise SkiplabError(f"{type(self.model).__name__} has no addition that a connection can replace:\n{self}")
        return self._some(selected)

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

    def _repr_html_(self) -> str:
        """The shortcuts as a drawing, which notebooks show."""
        from skiplab.surgery.drawing import drawing

        return drawing(self)


def _several(asked: Any) -> tuple[Any, ...] | None:
    if asked is None:
        return None
    return (asked,) if isinstance(asked, str | int) else tuple(asked)


def _row(shortcut: Shortcut) -> tuple[str, ...]:
    own = {name: getattr(shortcut, name) for name in _COLUMNS}
    within = f"{shortcut.path}."
    own["branch"] = " ".join(name.removeprefix(within) for name in shortcut.branch)
    own["path"] = shortcut.path or "(the model)"
    own["shape"] = "x".join(map(str, shortcut.shape))
    if not shortcut.is_replaceable:
        own["operation"] = f"{shortcut.operation}, not replaceable"
    return tuple(str(own[name] if own[name] != -1 else "") for name in _COLUMNS)
