"""The interface of an initialization, and what several of them need to know of a network."""

from typing import Protocol, TypeGuard, cast

import torch
from torch import nn

from skiplab.blocks.block import BranchJoin
from skiplab.blocks.branch import Branch
from skiplab.blocks.connection import Connection
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.shift import Shift
from skiplab.errors import SkiplabError


class Init:
    """How the parameters of a network are initialized.

    `prepare` gets the whole network once, before anything is drawn. It may refuse the network or add parameters to it.
    Then `__call__` gets each module that has parameters of its own, with its path. It draws from the global generator,
    which is seeded by (seed, path) before each call. So the values depend on neither the order nor the number of
    modules.
    """

    def prepare(self, model: nn.Module) -> None:
        """Check or extend the network; by default, nothing is done."""

    def __call__(self, module: nn.Module, path: str) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(module, path)")


class _Resettable(Protocol):
    def reset_parameters(self) -> None: ...


def reset_parameters(module: nn.Module) -> None:
    """Draw a module's own parameters by its own `reset_parameters`, as PyTorch does when it builds the module."""
    cast(_Resettable, module).reset_parameters()


def starts_as_in_torch(module: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    """Whether it is a convolution or a linear map whose `reset_parameters` is PyTorch's."""
    resets = (nn.Linear.reset_parameters, nn.Conv2d.reset_parameters)
    return isinstance(module, nn.Linear | nn.Conv2d) and type(module).reset_parameters in resets


def zero_bias(module: nn.Linear | nn.Conv2d) -> None:
    """Set the bias to zero, if there is one."""
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def branch_joins(model: nn.Module) -> list[BranchJoin]:
    """The joins of a network that is built from blocks."""
    return [module for module in model.modules() if isinstance(module, BranchJoin)]


def conditioning_modules(model: nn.Module) -> set[nn.Module]:
    """The modules in branches that act on the conditioning vector instead of the stream."""
    owners = [module for module in model.modules() if isinstance(module, Modulation | Shift)]
    return {module for owner in owners for module in owner.modules()}


def stream_layers(branch: Branch) -> list[nn.Module]:
    """The convolutions and linear maps that a branch applies to the stream."""
    conditioning = conditioning_modules(branch)
    return [m for m in branch.modules() if isinstance(m, nn.Linear | nn.Conv2d) and m not in conditioning]


def refuse_dead_joins(model: nn.Module, option: str) -> None:
    """Refuse a network that can't learn from an initialization by which every update starts at zero.

    Raises:
        SkiplabError: if the connection drops the stream, so that nothing passes; or if the connection multiplies the
            update by zero as well, so that neither of the two factors gets a gradient.
    """
    # Later connections of a stage may need a memory that only the first one's `open` makes. All are of one kind.
    first = [join.connection for join in branch_joins(model) if join.connection.spec.position == 0]
    for connection in first:
        training = connection.training
        connection.eval()
        keeps, writes = connection.keeps_stream(), _writes_update(connection)
        connection.train(training)
        if not keeps:
            raise SkiplabError(
                f"init={option} starts every update at zero, and the connection {type(connection).__name__} passes on "
                "nothing but the update, so the network would be dead at init: no signal, no gradient; take "
                "connection=identity, or init=default, he, orthogonal or looks_linear"
            )
        if not writes:
            raise SkiplabError(
                f"init={option} starts every update at zero, and the connection {type(connection).__name__} multiplies "
                "it by zero at init, so neither would ever get a gradient; take init=default with this connection, or "
                "connection=identity with this init"
            )


@torch.no_grad()
def _writes_update(connection: Connection) -> bool:
    """Whether an update changes the closed stream."""
    spec = connection.spec
    stream = torch.linspace(1, 2, spec.width)[None]
    cond = torch.ones(1, spec.cond_width) if spec.cond_width else None
    update = torch.linspace(1, -2, spec.width)[None]
    without, written = (
        connection.close(connection.write(connection.open(stream), each, cond, nn.Identity()))
        for each in (torch.zeros_like(update), update)
    )
    return not torch.equal(without, written)


def output_layer(model: nn.Module, option: str) -> nn.Module:
    """The last convolution or linear map of the backbone's `head`.

    Raises:
        SkiplabError: if there is none.
    """
    head = getattr(model, "head", nn.Identity())
    layers = [module for module in head.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise SkiplabError(
            f"init={option} needs the output layer in the backbone's attribute `head`, and finds no convolution or "
            "linear map there; add the layer to `head`"
        )
    return layers[-1]
