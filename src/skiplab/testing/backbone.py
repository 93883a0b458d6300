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
from skiplab.blocks.inits.default import Default
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.long_skips.none import NoLongSkip
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError
from skiplab.layers import blocks
from skiplab.seeding import initialise
from skiplab.testing.rules import BATCH, check_initialisation, check_passes, draw, named, require

_SHAPES = {"images": (2, 16, 16), "points": (2,)}
_BRANCHES = {"preact": partial(Preact, kernel_size=3, bias=True), "mlp": partial(MLP, expansion=2)}
_LONG_SKIPS = {"concat": Concat, "none": NoLongSkip}
_NUM_CLASSES = 3
_DEPTHS = range(1, 25)


class _Task(NamedTuple):
    """num_labels and num_logits of a specification."""

    num_labels: int
    num_logits: int


_TASKS = {"denoising": _Task(0, 0), "denoising by labels": _Task(_NUM_CLASSES, 0), "classes": _Task(0, _NUM_CLASSES)}


def check_backbone(make: Callable[[NetworkSpec], Backbone]) -> None:
    """Hold a backbone to its contract, on all that it takes of images, points, labels, classes and long skips.

    Each is tried at the smallest depth from 1 to 24 that it takes, with branch=preact, or else with branch=mlp.
    There must be one; what it can't do it refuses with a SkiplabError, depth=0 among it. It answers in the right
    shape, finite and deterministic in evaluation mode; gradients reach its input and every parameter; its answer
    depends on the noise level and on labels that it is told, which may be unknown; every join has a connection with
    a place of its own; there are at least `depth` blocks; plain and residual have equal parameters, with equal
    initial values, which depend on (seed, path) alone.

    Args:
        make: builds the network of a specification, such as `lambda spec: Isotropic(spec, cond_multiplier=4)`.

    Raises:
        AssertionError: with a sentence that says which rule is broken.
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
    require(found > 0, "refuses images and points at every depth from 1 to 24")


def _accepted(
    make: Callable[[NetworkSpec], Backbone],
    shape: tuple[int, ...],
    num_labels: int,
    num_logits: int,
    long_skip: Callable[[int, int], nn.Module],
) -> Iterator[NetworkSpec]:
    """The specifications that it doesn't refuse, from the smallest depth on."""
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
    require(isinstance(model, Backbone), f"{type(model).__name__} is no subclass of Backbone")
    _check_joins(model, spec)
    others: list[Tensor | None] = []
    if not spec.num_logits:
        labels = torch.arange(BATCH) % spec.num_labels if spec.num_labels else None
        others = [torch.linspace(0.2, 0.8, BATCH), labels]
    expected = (BATCH, spec.num_logits) if spec.num_logits else (BATCH, *spec.shape)
    x = draw("input", BATCH, *spec.shape)
    answer = check_passes(model, [x], others, expected=expected)
    if not spec.num_logits:
        _check_told(model, x, others, answer)
    _check_refuses_no_depth(make, spec)
    check_initialisation(lambda: make(spec))
    arms = [make(replace(spec, connection=connection)) for connection in (Identity, Plain)]
    for arm in arms:
        initialise(arm, Default(), seed=0)
    residual, plain = (arm.state_dict() for arm in arms)
    require(residual.keys() == plain.keys(), "plain and residual have other parameters")
    changed = ", ".join(name for name, value in plain.items() if not torch.equal(value, residual[name]))
    require(not changed, f"initial {changed} differ between plain and residual")


def _check_joins(model: Backbone, spec: NetworkSpec) -> None:
    joins = [module for module in model.modules() if isinstance(module, Join)]
    require(bool(joins), "it has no join; stack blocks with Stage")
    missing = sum(not hasattr(join, "connection") for join in joins)
    require(not missing, f"{missing} joins have no connection; call connect(stages, spec) with every stage")
    indices = sorted(join.connection.spec.index for join in joins)
    require(indices == list(range(len(joins))), "joins share an index; call connect once, with every stage")
    num_blocks = len(blocks(model))
    require(num_blocks >= spec.depth, f"it has {num_blocks} blocks at depth={spec.depth}")


@torch.no_grad()
def _check_told(model: Backbone, x: Tensor, others: list[Tensor | None], answer: Tensor) -> None:
    level, labels = others
    ignored = torch.equal(answer, model(x, level.flip(0), labels))
    require(not ignored, "its answer doesn't depend on the noise level")
    unknown = model(x, level, None)
    require(unknown.shape == answer.shape, "it gives another shape where the label is unknown")
    if labels is not None:
        require(not torch.equal(answer, model(x, level, labels.flip(0))), "its answer doesn't depend on the label")
        require(not torch.equal(answer, unknown), "its answer is the same where the label is unknown")


def _check_refuses_no_depth(make: Callable[[NetworkSpec], Backbone], spec: NetworkSpec) -> None:
    try:
        make(replace(spec, depth=0))
    except SkiplabError:
        return
    raise AssertionError("takes depth=0; refuse what is impossible with a SkiplabError, as check_depth does")
