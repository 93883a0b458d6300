"""The interface of an initialisation, and what several of them ask of a network."""

import torch
from torch import nn

from skiplab.blocks.block import Join
from skiplab.blocks.branch import Branch
from skiplab.blocks.connection import Connection
from skiplab.blocks.modulation import Modulation
from skiplab.blocks.shift import Shift
from skiplab.errors import SkiplabError


class Init:
    """How a network's parameters start.

    `prepare` sees the whole network once, before anything is drawn: it may refuse it, or add parameters to it. Then
    each module with parameters of its own is handed over with its path; draws come from the global generator, which
    is seeded by (seed, path) each time, so that they depend on neither the order nor the number of modules.
    """

    def prepare(self, model: nn.Module) -> None:
        """Look at the network; by default it is left as it is."""

    def __call__(self, module: nn.Module, path: str) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(module, path)")


def draws_as_torch(module: nn.Module) -> bool:
    """Whether it is a convolution or a linear map that starts as torch starts it, not in a way of its own."""
    resets = (nn.Linear.reset_parameters, nn.Conv2d.reset_parameters)
    return isinstance(module, nn.Linear | nn.Conv2d) and type(module).reset_parameters in resets


def zero_bias(module: nn.Module) -> None:
    """Set the bias to zero, where there is one."""
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def joins(model: nn.Module) -> list[Join]:
    """The joins of a network."""
    return [module for module in model.modules() if isinstance(module, Join)]


def conditioning_modules(model: nn.Module) -> set[nn.Module]:
    """What acts on the conditioning vector inside the branches, not on the stream."""
    owners = [module for module in model.modules() if isinstance(module, Modulation | Shift)]
    return {module for owner in owners for module in owner.modules()}


def stream_layers(branch: Branch) -> list[nn.Module]:
    """The convolutions and linear maps that a branch applies to the stream."""
    conditioning = conditioning_modules(branch)
    return [m for m in branch.modules() if isinstance(m, nn.Linear | nn.Conv2d) and m not in conditioning]


def refuse_dead_joins(model: nn.Module, option: str) -> None:
    """For initialisations whose updates start at zero.

    Raises:
        SkiplabError: where nothing would ever be learned, because the stream stops at such an update, or because
            the connection starts at zero too, so that neither factor of the product gets a gradient.
    """
    # A connection further on may hold a memory that its own `open` doesn't make; all of a network are of one kind.
    first = [join.connection for join in joins(model) if join.connection.spec.position == 0]
    for connection in first:
        training = connection.training
        connection.eval()
        keeps, writes = connection.keeps_stream(), _writes_update(connection)
        connection.train(training)
        if not keeps:
            raise SkiplabError(
                f"init={option} starts every update at zero, and this connection ({type(connection).__name__}) passes "
                "nothing else on, so the network would be dead at init: no signal, no gradient; take "
                "connection=identity, or init=default, he, orthogonal or looks_linear"
            )
        if not writes:
            raise SkiplabError(
                f"init={option} starts every update at zero, and this connection ({type(connection).__name__}) "
                "multiplies it by zero at init, so neither would ever get a gradient; take init=default with this "
                "connection, or connection=identity with this init"
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
        SkiplabError: where there is none.
    """
    head = getattr(model, "head", nn.Identity())
    layers = [module for module in head.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise SkiplabError(
            f"init={option} looks for the output layer in the backbone's attribute `head`; add one there"
        )
    return layers[-1]
