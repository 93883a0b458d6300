from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.ablate import replace_shortcuts
from skiplab.surgery.find_shortcuts import find_shortcuts
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.shortcut import KINDS, Kind
from skiplab.targets import find_target


class External(Backbone):
    """A network of your own or of a library, whose shortcuts are replaced by connections.

    `target(**arguments)` builds it, with the global generator seeded by the trial's seed. Then it runs once to find its
    shortcuts (`skiplab.find_shortcuts`). It keeps its initial weights; only the parameters of connections are drawn.
    The other axes that build blocks (branch, norm, activation, shortcut, long_skip), depth and width have an effect
    only if its arguments refer to them, such as `backbone.arguments.layers='${depth}'`.

    Shapes: (batch, *spec.shape) to the same, or to (batch, num_logits).

    Args:
        target: import path of the class or function that builds the network, such as diffusers.UNet2DModel.
        arguments: its arguments, by name.
        inputs: the arguments of the network's forward: a mapping from argument names to x, level or labels; null for
            positional arguments, forward(x, level, labels), without those that the trial doesn't have.
        level_scale: factor of the noise level, which lies between 0 and 1; 1000 for networks that expect a step.
        path: pattern of the modules whose shortcuts are replaced, such as 'down_blocks.*'.
        kinds: kinds of shortcuts that are replaced: identity, projection, 'long skip'.
        version: any text; a new one separates trials of a function that changed from earlier trials.

    Raises:
        SkiplabError: if the network can't be built or run, or has no such shortcut.
    """

    code: ClassVar[tuple[str, ...]] = ("target",)

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        target: str,
        arguments: Mapping[str, Any],
        inputs: Mapping[str, str] | None,
        level_scale: float | int,
        path: str,
        kinds: Sequence[str],
        version: str | None,
    ) -> None:
        super().__init__(spec)
        self.available = [name for name, is_available in _available(spec).items() if is_available]
        self.inputs, self.level_scale = self._check_inputs(inputs), level_scale
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise SkiplabError(f"backbone.kinds={unknown[0]} is invalid; valid: {', '.join(KINDS)}")
        replaced: list[Kind] = [kind for kind in KINDS if kind in kinds]
        self.model = _build(target, arguments)
        args, kwargs = self._arguments(*_example(spec))
        try:
            shortcuts = find_shortcuts(self.model, kwargs or args)
        except Exception as error:
            shape = " x ".join(map(str, spec.shape))
            raise SkiplabError(
                f"backbone.target={target} fails on an input of {shape} with {type(error).__name__}: {error}; check "
                "backbone.arguments and backbone.inputs"
            ) from error
        replace_shortcuts(self.model, spec.connection, shortcuts.where(path=path, kind=replaced))

    def _check_inputs(self, inputs: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if inputs is None:
            return None
        if unknown := sorted(set(inputs.values()) - set(self.available)):
            raise SkiplabError(
                f"backbone.inputs has the value {unknown[0]}; valid in this trial, as values of argument names: "
                f"{', '.join(self.available)}"
            )
        if "x" not in inputs.values():
            raise SkiplabError("backbone.inputs has no x; set one argument to it, such as backbone.inputs.sample=x")
        return dict(inputs)

    def _arguments(
        self, x: Tensor, level: Tensor | None, labels: Tensor | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the named arguments of the network's forward."""
        scaled = None if level is None else level * self.level_scale
        values: dict[str, Tensor | None] = {"x": x, "level": scaled, "labels": labels}
        if self.inputs is None:
            return tuple(values[name] for name in self.available), {}
        return (), {argument: values[name] for argument, name in self.inputs.items()}

    def drawn_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules of the connections; all others keep the weights that they were built with."""
        for path, module in self.named_modules():
            if isinstance(module, ForeignJoin):
                yield from module.named_modules(prefix=path)

    def forward(
        self,
        x: Float[Tensor, "batch channels *positions"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        args, kwargs = self._arguments(_own(x), level, labels)
        output = _own(_tensor(self.model(*args, **kwargs)))
        wanted = (self.spec.num_logits,) if self.spec.num_logits else self.spec.shape
        if output.shape[1:] != torch.Size(wanted):
            raise SkiplabError(
                f"backbone.target returns the shape {tuple(output.shape)} for an input of {tuple(x.shape)}, and this "
                f"trial needs {(len(x), *wanted)}; check backbone.arguments"
            )
        return output


def _available(spec: NetworkSpec) -> dict[str, bool]:
    """Whether the trial has each of the inputs of a network."""
    return {"x": True, "level": not spec.num_logits, "labels": bool(spec.num_labels)}


def _example(spec: NetworkSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments of an example forward pass: x, level and labels."""
    x = torch.linspace(-1, 1, 2 * torch.Size(spec.shape).numel()).view(2, *spec.shape)
    return x, torch.tensor([0.25, 0.75]), torch.zeros(2, dtype=torch.long)


def _build(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    make = find_target("backbone.target", target, nn.Module, unannotated=True)
    try:
        model = make(**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise SkiplabError(
            f"backbone.target={target} can't be built with {given or 'no arguments'}: {error}; check backbone.arguments"
        ) from error
    if not isinstance(model, nn.Module):
        raise SkiplabError(f"backbone.target={target} returns a {type(model).__name__}; valid: a torch.nn.Module")
    return model


def _own(tensor: Tensor) -> Tensor:
    """The tensor, or a copy where a network may write over it: over its input, and over its output in the next pass."""
    return tensor if tensor.requires_grad else tensor.clone()


def _tensor(output: Any) -> Tensor:
    """The prediction in the output of a library's network: a tensor, a tuple's first entry, `.sample` or `.logits`."""
    if isinstance(output, tuple | list):
        output = output[0]
    for name in ("sample", "logits"):
        if not isinstance(output, Tensor) and hasattr(output, name):
            output = getattr(output, name)
    if not isinstance(output, Tensor):
        raise SkiplabError(
            f"backbone.target returns a {type(output).__name__}; valid: a tensor, or an output with .sample or .logits"
        )
    return output
