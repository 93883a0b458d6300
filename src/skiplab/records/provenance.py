"""The code, the packages and the machine that a record comes from."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from skiplab.records.record_schema import Origin

_PACKAGES = ("skiplab", "torch", "pytorch-lightning", "hydra-core", "torchmetrics", "wandb", "numpy")


# What a user may set to make kernels use other instructions, whose sums are rounded differently.
_OF_INSTRUCTIONS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
)


def instructions(capability: str) -> str:
    """What kernels on the CPU use, with what the environment says of it, such as 'AVX2, MKL_CBWR=AVX2'.

    Args:
        capability: what torch's own kernels use.
    """
    return ", ".join([capability, *(f"{name}={os.environ[name]}" for name in _OF_INSTRUCTIONS if name in os.environ)])


def origin(gpu: str | None, capability: str) -> Origin:
    """Commit, package versions and hardware of this process, as they are when it first asks.

    Args:
        gpu: the name of its GPU; None if there is none.
        capability: the instructions that torch's own kernels use.
    """
    return {
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "gpu": gpu,
            "instructions": instructions(capability),
        },
    }


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def _commit() -> str | None:
    """The checkout's commit, with '+' if it has uncommitted changes; None for an installed wheel."""
    here = Path(__file__).resolve().parent
    root = here.parents[2]
    if not (root / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.decode().strip() + ("+" if changed.stdout.strip() else "")


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
