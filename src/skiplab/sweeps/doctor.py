"""What this machine has: cores, GPU, launchers, W&B, weights, data."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.wandb_account import has_key


class Finding(NamedTuple):
    """One thing that was looked for: whether it is fine, what was found, and what to do if it isn't."""

    name: str
    fine: bool
    found: str
    advice: str = ""


def doctor_command(runs_dir: Path) -> None:
    """Print what this machine has; nothing is changed, and nothing is asked of the network."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for look in LOOKS:
        finding = look(runs_dir)
        mark = Text("yes", style="green") if finding.fine else Text("no", style="yellow")
        table.add_row(finding.name, mark, Text("; ".join(part for part in (finding.found, finding.advice) if part)))
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def _cores(runs_dir: Path) -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    advice = "a sweep trains a trial on each" if usable > 1 else ""
    return Finding("cores", True, f"{usable} of {os.cpu_count()} usable", advice)


def _memory(runs_dir: Path) -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return Finding("memory", free > 1, f"{free:.1f} GiB free", "" if free > 1 else "a trial takes about 1 GiB")


def _disk(runs_dir: Path) -> Finding:
    existing = next(path for path in (runs_dir.resolve(), *runs_dir.resolve().parents) if path.exists())
    free, writable = shutil.disk_usage(existing).free / 2**30, os.access(existing, os.W_OK)
    advice = "" if writable else "it can't be written; give another folder by run.runs_dir=..."
    return Finding("disk", writable and free > 1, f"{free:.1f} GiB free for {runs_dir}", advice)


def _torch(runs_dir: Path) -> Finding:
    import torch

    return Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def _gpu(runs_dir: Path) -> Finding:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    return Finding("GPU", count > 0, names or "none that torch can use", "take trainer=gpu" if count else "")


def _launchers(runs_dir: Path) -> Finding:
    plugins = {"joblib": "hydra_joblib_launcher", "submitit (SLURM)": "hydra_submitit_launcher"}
    plugins |= {"Ray": "hydra_ray_launcher"}
    found = [name for name, plugin in plugins.items() if _installed(f"hydra_plugins.{plugin}")]
    return Finding("launchers", bool(found), ", ".join(["in process", *found]))


def _wandb(runs_dir: Path) -> Finding:
    key = has_key()
    advice = "" if key else "runs are logged offline, which needs none; `wandb login` for logger=wandb_online"
    return Finding("W&B account", key, f"wandb {metadata.version('wandb')}", advice)


def _inception(runs_dir: Path) -> Finding:
    from skiplab.cache_dir import cache_dir

    place = cache_dir() / "inception-2015-12-05.pt"
    advice = "" if place.exists() else "feature_extractor=inception says where to get it"
    return Finding("Inception's weights", place.exists(), str(place), advice)


def _hub(runs_dir: Path) -> Finding:
    fine = _installed("datasets")
    advice = "" if fine else "pip install datasets, for data=cifar10 and its like"
    return Finding("data sets of the hub", fine, "the datasets package is there" if fine else "", advice)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


LOOKS: tuple[Callable[[Path], Finding], ...] = (
    _cores,
    _memory,
    _disk,
    _torch,
    _gpu,
    _launchers,
    _wandb,
    _inception,
    _hub,
)
