"""Initial weights as a pure function of the seed and of each module's path."""

from collections.abc import Iterable

import torch
from torch import nn

from skiplab.blocks.init import Init
from skiplab.seeding import keyed_seed, seed_globally


def initialize(model: nn.Module, init: Init, seed: int, modules: Iterable[tuple[str, nn.Module]] | None = None) -> None:
    """Initialize each module's own parameters from (seed, its path), so that what two networks share is bit-equal.

    The global generators are left as they were.

    Args:
        model: the network.
        init: draws the parameters of one module.
        seed: the trial's seed.
        modules: the modules to initialize, with their paths; None for all.

    Raises:
        SkiplabError: if the initialization refuses the network.
        TypeError: if a module has parameters of its own and no `reset_parameters`.
    """
    with torch.random.fork_rng(devices=[]):
        init.prepare(model)
        for path, module in model.named_modules() if modules is None else modules:
            if next(module.parameters(recurse=False), None) is None:
                continue
            if not hasattr(module, "reset_parameters"):
                raise TypeError(f"{type(module).__name__} at {path} has parameters but no reset_parameters()")
            seed_globally(keyed_seed(seed, f"init/{path}"))
            init(module, path)
