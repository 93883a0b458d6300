"""skiplab: what do residual connections buy a network? Trained with and without, nothing else changed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skiplab.ablation import ablate
    from skiplab.analysis.results.from_frame import from_frame
    from skiplab.analysis.study.study import Study, read_study
    from skiplab.blocks.connection import set_progress
    from skiplab.drawn_readings import draw_readings
    from skiplab.factory_study.study import study
    from skiplab.measured_shortcuts import measure_shortcuts
    from skiplab.pretrained_networks import pretrained
    from skiplab.saved_joins import load_joins, save_joins
    from skiplab.surgery.ablate import restore
    from skiplab.surgery.find_shortcuts import find_shortcuts
    from skiplab.training.load import load
    from skiplab.watching import Instruments, trainer_callback, watch

__version__ = "0.2.0"
__all__ = [
    "Instruments",
    "Study",
    "ablate",
    "draw_readings",
    "find_shortcuts",
    "from_frame",
    "load",
    "load_joins",
    "measure_shortcuts",
    "pretrained",
    "read_study",
    "restore",
    "save_joins",
    "set_progress",
    "study",
    "trainer_callback",
    "watch",
]

# Imported when they are first used, because nearly all of them need torch.
_MODULES = {
    "Instruments": "skiplab.watching",
    "Study": "skiplab.analysis.study.study",
    "ablate": "skiplab.ablation",
    "draw_readings": "skiplab.drawn_readings",
    "find_shortcuts": "skiplab.surgery.find_shortcuts",
    "from_frame": "skiplab.analysis.results.from_frame",
    "load": "skiplab.training.load",
    "load_joins": "skiplab.saved_joins",
    "measure_shortcuts": "skiplab.measured_shortcuts",
    "pretrained": "skiplab.pretrained_networks",
    "read_study": "skiplab.analysis.study.study",
    "restore": "skiplab.surgery.ablate",
    "save_joins": "skiplab.saved_joins",
    "set_progress": "skiplab.blocks.connection",
    "study": "skiplab.factory_study.study",
    "trainer_callback": "skiplab.watching",
    "watch": "skiplab.watching",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found  # found without this function from now on
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
