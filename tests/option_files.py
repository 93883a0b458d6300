"""Which options there are, found on disk: no test keeps a list of them."""

from pathlib import Path

from skiplab.paths import project_dir

CONF = project_dir("conf")
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "skiplab"
# Folders of conf/ that are no axis: Hydra's own, and presets over several axes.
AXES = sorted(
    folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name not in ("hydra", "experiment")
)


def options(axis: str) -> list[str]:
    """The options of an axis."""
    return sorted(path.stem for path in (CONF / axis).glob("*.yaml"))


def backbones() -> list[str]:
    """The backbones that are made of a specification; another takes a network that the user has to name."""
    return [option for option in options("backbone") if "???" not in (CONF / "backbone" / f"{option}.yaml").read_text()]


def every_option() -> list[tuple[str, str]]:
    """(axis, option) of every option of every axis."""
    return [(axis, option) for axis in AXES for option in options(axis)]


def presets() -> list[str]:
    """The presets of conf/experiment."""
    return options("experiment")
