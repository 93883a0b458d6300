"""All randomness, as a pure function of (seed, purpose, step)."""

import hashlib

import torch


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
