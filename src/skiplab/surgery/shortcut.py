"""The shortcuts of a network: what each is, as a table for people and a frame for programs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from torch import nn

from skiplab.errors import SkiplabError
from skiplab.surgery.torch_calls import Form, Site

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["identity", "projection", "conditioning", "long skip"]
KINDS: tuple[Kind, ...] = ("identity", "projection", "conditioning", "long skip")
_SHOWN = ("path", "call", "kind", "form", "stage", "shape", "branch")


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A place where a stream goes round a branch and meets its update.

    path: of the module in whose code they meet; '' is the model itself.
    call: which one of its form it is in one call of that module, from 0.
    kind: 'identity', the stream is what the branch reads; 'projection', both are made from what the block reads;
        'conditioning', another input's embedding is added, which is no shortcut; 'long skip', across an encoder and
        decoder.
    form: how they meet; only additions can be joined by a connection.
    shape: of the stream behind it, with the batch of the example.
    stage: its number among the runs of neighbouring identities and projections whose streams have equal shapes, from
        0; -1 for others.
    branch: the modules that make the update, in their order, as paths; none for conditioning.
    stream_first: whether the stream is the left one of the two operands.
    channel_dim: the dimension of the stream's channels.
    site: where in the code they meet.
    """

    path: str
    call: int
    kind: Kind
    form: Form
    shape: tuple[int, ...]
    stage: int
    branch: tuple[str, ...]
    stream_first: bool
    channel_dim: int
    site: Site

    @property
    def width(self) -> int:
        """Channels of the stream."""
        return self.shape[self.channel_dim]

    def __str__(self) -> str:
        return f"{self.form} {self.call} of {self.path or 'the model'}"


class Shortcuts(Sequence[Shortcut]):
    """The shortcuts of a model, in the order in which it passes them.

    model: where they were found.
    sums: of each module's path, where one call of it adds two tensors; None where its calls differ.
    called: of each module's path, the modules of several that it calls.
    """

    def __init__(
        self,
        model: nn.Module,
        found: Sequence[Shortcut],
        sums: Mapping[str, tuple[Site, ...] | None],
        called: Mapping[str, Collection[str]],
    ) -> None:
        self.model, self.sums, self.called = model, sums, called
        self._found = tuple(found)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index):
        return self._found[index]

    def where(
        self, *, path: str = "*", kind: Kind | Sequence[Kind] = KINDS, stage: int | Sequence[int] | None = None
    ) -> "Shortcuts":
        """Those whose path matches a pattern, such as 'down_blocks.*', that are of these kinds, in these stages.

        Raises:
            SkiplabError: where there are none; names what there is.
        """
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        if unknown := [each for each in kinds if each not in KINDS]:
            raise SkiplabError(f"kind={unknown[0]!r} is invalid; valid: {', '.join(KINDS)}")
        stages = (stage,) if isinstance(stage, int) else stage
        chosen = [
            each
            for each in self
            if fnmatchcase(each.path, path) and each.kind in kinds and (stages is None or each.stage in stages)
        ]
        if not chosen:
            asked = f"path={path!r}, kind={', '.join(kinds)}" + ("" if stages is None else f", stage={stage}")
            raise SkiplabError(f"no shortcut has {asked}; there are:\n{self}")
        return Shortcuts(self.model, chosen, self.sums, self.called)

    def replaceable(self) -> "Shortcuts":
        """Those that a connection can take the place of: additions that aren't conditioning.

        Raises:
            SkiplabError: where there are none.
        """
        chosen = [each for each in self if each.kind != "conditioning" and each.form == "addition"]
        if not chosen:
            raise SkiplabError(f"{type(self.model).__name__} has no addition that a connection could replace:\n{self}")
        return Shortcuts(self.model, chosen, self.sums, self.called)

    def frame(self) -> "pd.DataFrame":
        """A row for each, with the columns of the table."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(each, name) for name in _SHOWN} for each in self], columns=_SHOWN)

    def __str__(self) -> str:
        """A table."""
        if not self:
            return f"{type(self.model).__name__} has no shortcuts"
        rows = [_SHOWN, *(_row(each) for each in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    __repr__ = __str__


def _row(shortcut: Shortcut) -> tuple[str, ...]:
    own = {name: getattr(shortcut, name) for name in _SHOWN}
    within = f"{shortcut.path}."
    own["branch"] = " ".join(name.removeprefix(within) for name in shortcut.branch)
    own["path"] = shortcut.path or "(the model)"
    own["shape"] = "x".join(map(str, shortcut.shape))
    own["form"] = shortcut.form if shortcut.form == "addition" else f"{shortcut.form}, not handled"
    return tuple(str(own[name] if own[name] != -1 else "") for name in _SHOWN)
