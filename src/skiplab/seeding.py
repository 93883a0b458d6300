"""All randomness, as a pure function of (seed, purpose, step) or of (seed, parameter path)."""

import hashlib
from collections.abc import Iterable

import torch
from torch import nn

from skiplab.blocks.init import Init


def keyed_seed(seed: int, purpose: str, step: int = 0) -> int:
    """A 63-bit seed that depends on nothing but its arguments."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def keyed_generator(seed: int, purpose: str, step: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose at one step."""
    return torch.Generator(device=device).manual_seed(keyed_seed(seed, purpose, step))


def seed_globally(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed the global generators of the CPU and of the device.

    `torch.manual_seed` seeds every kind of device, and where one isn't there, or not yet used, writes down a
    traceback for it: about 2 ms on a CPU, at each step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        torch.cuda.manual_seed(seed)


def initialise(model: nn.Module, init: Init, seed: int, modules: Iterable[tuple[str, nn.Module]] | None = None) -> None:
    """Initialise every module's own parameters from (seed, its path), so that shared parameters are bit-equal.

    `modules` are those of the model that aren't left as they are, with their paths; None for all.

    The global generators are left as they were.

    Raises:
        SkiplabError: where the initialisation refuses the network.
        TypeError: where a module with parameters of its own has no `reset_parameters`.
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
