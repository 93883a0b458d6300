"""The contract of a backbone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skiplab.backbones.backbone import Backbone
from skiplab.blocks.block import Join
from skiplab.blocks.branches.mlp import MLP
from skiplab.blocks.branches.preact import Preact
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.connections.plain import Plain
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.long_skips.none import NoLongSkip
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError
from skiplab.layers import blocks
from skiplab.testing.rules import BATCH, check_initialization, check_passes, draw, named, require

_SHAPES = {"images": (2, 16, 16), "points": (2,)}
_BRANCHES = {"preact": partial(Preact, kernel_size=3, bias=True), "mlp": partial(MLP, expansion=2)}
_LONG_SKIPS = {"concat": Concat, "none": NoLongSkip}
_NUM_CLASSES = 3
_DEPTHS = range(1, 25)


class _Task(NamedTuple):
    """What a network is built for: the fields num_labels and num_logits of its specification."""

    num_labels: int
    num_logits: int


_TASKS = {"denoising": _Task(0, 0), "denoising by labels": _Task(_NUM_CLASSES, 0), "classes": _Task(0, _NUM_CLASSES)}


def check_backbone(make: Callable[[NetworkSpec], Backbone]) -> None:
    """Check the contract of a backbone, for each combination of data, task and long skip that it supports.

    Each combination is tried at the smallest supported depth from 1 to 24, with branch=preact or else branch=mlp. At
    least one must be supported. The backbone refuses what it doesn't support, such as depth=0, with a SkiplabError. Its
    output has the right shape, and is finite and deterministic in evaluation mode. Gradients reach its input and every
    parameter. Its output depends on the noise level and on labels, which may be unknown. Every join has a connection
    with an index of its own, and there are at least `depth` blocks. Plain and residual networks have equal parameters
    with equal initial values, which depend on (seed, path) alone.

    Args:
        make: builds the network of a specification, such as `lambda spec: Isotropic(spec, cond_multiplier=4)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    found = 0
    for (kind, shape), (task, (num_labels, num_logits)), (skip_name, long_skip) in product(
        _SHAPES.items(), _TASKS.items(), _LONG_SKIPS.items()
    ):
        spec = next(_accepted(make, shape, num_labels, num_logits, long_skip), None)
        if spec is not None:
            found += 1
            with named(f"on {kind}, {task}, depth={spec.depth}, long_skip={skip_name}"):
                _check_network(make, spec)
    require(found > 0, "it refuses images and points at every depth from 1 to 24")


def _accepted(
    make: Callable[[NetworkSpec], Backbone],
    shape: tuple[int, ...],
    num_labels: int,
    num_logits: int,
    long_skip: Callable[[int, int], LongSkip],
) -> Iterator[NetworkSpec]:
    """The specifications that it supports, from the smallest depth on."""
    for depth, branch in product(_DEPTHS, _BRANCHES.values()):
        spec = NetworkSpec(
            depth=depth,
            width=8,
            shape=shape,
            num_labels=num_labels,
            num_logits=num_logits,
            connection=Identity,
            branch=branch,
            shortcut=ZeroPad,
            norm=lambda width: nn.GroupNorm(2, width),
            activation=nn.SiLU,
            long_skip=long_skip,
        )
        try:
            make(spec)
        except SkiplabError:
            continue
        yield spec


def _check_network(make: Callable[[NetworkSpec], Backbone], spec: NetworkSpec) -> None:
    model = make(spec)
    require(isinstance(model, Backbone), f"{type(model).__name__} is not a subclass of Backbone")
    _check_joins(model, spec)
    level = None if spec.num_logits else torch.linspace(0.2, 0.8, BATCH)
    labels = torch.arange(BATCH) % spec.num_labels if spec.num_labels else None
    expected = (BATCH, spec.num_logits) if spec.num_logits else (BATCH, *spec.shape)
    x = draw("input", BATCH, *spec.shape)
    conditioning = [] if level is None else [level, labels]
    output = check_passes(model, [x], conditioning, expected=expected)
    if level is not None:
        _check_conditioning(model, x, level, labels, output)
    _check_refuses_no_depth(make, spec)
    check_initialization(lambda: make(spec))
    arms = [make(replace(spec, connection=connection)) for connection in (Identity, Plain)]
    for arm in arms:
        initialize(arm, Default(), seed=0)
    residual, plain = (arm.state_dict() for arm in arms)
    require(residual.keys() == plain.keys(), "plain and residual networks have different parameters")
    changed = ", ".join(name for name, value in plain.items() if not torch.equal(value, residual[name]))
    require(not changed, f"the initial values of {changed} differ between plain and residual networks")


def _check_joins(model: Backbone, spec: NetworkSpec) -> None:
    joins = [module for module in model.modules() if isinstance(module, Join)]
    require(bool(joins), "it has no join; build its blocks with Stage")
    missing = sum(not hasattr(join, "connection") for join in joins)
    require(not missing, f"{missing} joins have no connection; call connect(stages, spec) with every stage")
    indices = sorted(join.connection.spec.index for join in joins)
    require(indices == list(range(len(joins))), "joins share an index; call connect once, with every stage")
    num_blocks = len(blocks(model))
    require(num_blocks >= spec.depth, f"it has {num_blocks} blocks at depth={spec.depth}")


@torch.no_grad()
def _check_conditioning(model: Backbone, x: Tensor, level: Tensor, labels: Tensor | None, output: Tensor) -> None:
    ignored = torch.equal(output, model(x, level.flip(0), labels))
    require(not ignored, "its output doesn't depend on the noise level")
    unknown = model(x, level, None)
    require(unknown.shape == output.shape, "its output has another shape for unknown labels")
    if labels is not None:
        require(not torch.equal(output, model(x, level, labels.flip(0))), "its output doesn't depend on the label")
        require(not torch.equal(output, unknown), "its output is the same for known and unknown labels")


def _check_refuses_no_depth(make: Callable[[NetworkSpec], Backbone], spec: NetworkSpec) -> None:
    try:
        make(replace(spec, depth=0))
    except SkiplabError:
        return
    raise AssertionError("it accepts depth=0; refuse an impossible depth with a SkiplabError, as check_depth does")
