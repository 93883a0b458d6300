from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError
from skiplab.surgery.ablate import join_by
from skiplab.surgery.find_shortcuts import find_shortcuts
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.shortcut import KINDS
from skiplab.targets import find_target

_GIVEN = ("x", "level", "labels")


class External(Backbone):
    """A network of your own or of a library, as it is, with connections in the place of its shortcuts.

    It is built by `target(**arguments)` from a generator seeded by the trial's seed, run once to find its shortcuts
    (`skiplab.find_shortcuts`), and keeps its initial weights; connections' parameters start as everywhere. Other axes
    that build blocks (branch, norm, activation, shortcut, long_skip) and depth and width act on it only where its
    arguments refer to them, `backbone.arguments.layers='${depth}'`.

    Shapes: (batch, *spec.shape) to the same, or to (batch, num_logits).

    Args:
        target: import path of what builds the network, a class or a function, such as diffusers.UNet2DModel.
        arguments: what it is built with, by name.
        inputs: what its forward is called with: the name of an argument for each of x, level and labels that it
            takes; null for positional ones, forward(x, level, labels), without those that the trial doesn't have.
        level_scale: what the noise level, from 0 to 1, is multiplied by; 1000 for networks that are told a step.
        path: a pattern of the modules whose shortcuts are replaced, such as 'down_blocks.*'.
        kinds: which kinds are: identity, projection, 'long skip'.
        version: any text, by which trials of functions that changed under one name are told apart.

    Raises:
        SkiplabError: where the network can't be built or run, or has no such shortcut.
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
        self.given = [name for name, is_given in zip(_GIVEN, _is_given(spec), strict=True) if is_given]
        self.inputs, self.level_scale = self._check_inputs(inputs), level_scale
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise SkiplabError(f"backbone.kinds={unknown[0]} is invalid; valid: {', '.join(KINDS)}")
        self.model = _build(target, arguments)
        args, kwargs = self._arguments(*_example(spec))
        try:
            shortcuts = find_shortcuts(self.model, kwargs or args)
        except Exception as error:
            shape = " x ".join(map(str, spec.shape))
            raise SkiplabError(
                f"backbone.target={target} can't be run on an input of {shape}: {type(error).__name__}: {error}; see "
                "backbone.arguments and backbone.inputs"
            ) from error
        join_by(self.model, spec.connection, shortcuts.where(path=path, kind=tuple(kinds)))

    def _check_inputs(self, inputs: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if inputs is None:
            return None
        if unknown := sorted(set(inputs.values()) - set(self.given)):
            raise SkiplabError(
                f"backbone.inputs has {unknown[0]}; valid in this trial, each the value of an argument's name: "
                f"{', '.join(self.given)}"
            )
        if "x" not in inputs.values():
            raise SkiplabError("backbone.inputs lacks x; give an argument's name, such as backbone.inputs.sample=x")
        return dict(inputs)

    def _arguments(self, *values: Tensor | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the network is called with."""
        own = dict(zip(_GIVEN, values, strict=True))
        if own["level"] is not None:
            own["level"] = own["level"] * self.level_scale
        if self.inputs is None:
            return tuple(own[name] for name in self.given), {}
        return (), {argument: own[name] for argument, name in self.inputs.items()}

    def drawn_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The connections' modules: the others come with their weights."""
        for path, module in self.named_modules():
            if isinstance(module, ForeignJoin):
                yield from module.named_modules(prefix=path)

    def forward(
        self,
        x: Float[Tensor, "batch channels *positions"],
        level: Float[Tensor, " batch"] | None = None,
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch *output"]:
        args, kwargs = self._arguments(x, level, labels)
        output = _tensor(self.model(*args, **kwargs))
        wanted = (self.spec.num_logits,) if self.spec.num_logits else self.spec.shape
        if output.shape[1:] != torch.Size(wanted):
            raise SkiplabError(
                f"backbone.target gives {tuple(output.shape)} for an input of {tuple(x.shape)}, and this trial needs "
                f"{(len(x), *wanted)}; see backbone.arguments"
            )
        return output


def _is_given(spec: NetworkSpec) -> tuple[bool, bool, bool]:
    """Whether the trial has an image, a noise level, labels to tell."""
    return True, not spec.num_logits, bool(spec.num_labels)


def _example(spec: NetworkSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments of a forward pass."""
    x = torch.linspace(-1, 1, 2 * torch.Size(spec.shape).numel()).view(2, *spec.shape)
    return x, torch.tensor([0.25, 0.75]), torch.zeros(2, dtype=torch.long)


def _build(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    make = find_target("backbone.target", target, nn.Module, unannotated=True)
    try:
        model = make(**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise SkiplabError(f"backbone.target={target} refuses {given or 'no arguments'}: {error}") from error
    if not isinstance(model, nn.Module):
        raise SkiplabError(f"backbone.target={target} makes a {type(model).__name__}; valid: a torch.nn.Module")
    return model


def _tensor(output: Any) -> Tensor:
    """The prediction in what libraries return: a tensor, the first of a tuple, or `.sample` or `.logits`."""
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
