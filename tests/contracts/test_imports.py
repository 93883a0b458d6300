"""Imports run one way: cli -> sweeps, training, analysis -> backbones -> blocks; analysis imports no torch."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from option_files import PACKAGE

MODULES = sorted(PACKAGE.rglob("*.py"))
# What a package may import of skiplab; a package that isn't named here may import anything below the command line.
MAY_IMPORT = {
    "blocks": {"blocks", "errors"},
    "backbones": {"backbones", "blocks", "surgery", "targets", "errors"},
    "surgery": {"surgery", "blocks", "layers", "errors"},
    "layers": {"blocks"},
    "objectives": {"objectives", "errors"},
    "samplers": {"samplers", "objectives", "errors"},
    "data": {"data", "fingerprint", "foreign_files", "errors"},
    "analysis": {
        *("analysis", "charts", "metrics", "tuned", "foreign_files", "registered", "first_start", "errors"),
        *("paths", "atomic_file", "printable", "record_files", "spreadsheet", "layer_keys", "wandb_account"),
    },
}
# Only the command line, and the package itself, may import these.
TOP = {
    "cli": {"__main__"},
    "ablation": {"__init__"},
    "factory_study": {"__init__"},
    "train_command": {"cli", "factory_study"},
    "explain": {"train_command", "cli"},
    "reproduce": {"cli"},
    "sweeps": {"sweeps", "train_command", "cli"},
    "analysis": {"analysis", "reproduce", "ablation", "factory_study", "joining", "cli"},
    "testing": {"testing"},
}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package(path: Path) -> str:
    """The part of skiplab that a file belongs to, such as 'blocks' or 'cli'."""
    return Path(path.relative_to(PACKAGE).parts[0]).stem


def parts(path: Path) -> set[str]:
    """The parts of skiplab that a file imports."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("skiplab.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own, found = package(path), parts(path) - {"__version__"}
    if own in MAY_IMPORT:
        assert found <= MAY_IMPORT[own], f"{own} imports {found - MAY_IMPORT[own]}"
    for top, allowed in TOP.items():
        assert top not in found or own in allowed, f"{own} imports {top}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_experiments_or_torchvision(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"experiments", "torchvision", "benchmarks", "notebooks", "tests"}


def test_analysis_names_no_torch() -> None:
    heavy = {"torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "safetensors"}
    for path in (PACKAGE / "analysis").rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & heavy, path


def test_neither_the_analysis_nor_help_loads_torch() -> None:
    names = [
        "skiplab." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in (PACKAGE / "analysis").rglob("*.py")
        if path.stem != "__init__"
    ]
    program = f"""
import contextlib, importlib, json, sys
from skiplab.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
    main(["--help"])
after_help = sorted(sys.modules)
for name in {names!r}:
    importlib.import_module(name)
print(json.dumps([after_help, sorted(sys.modules)]))
"""
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    after_help, after_analysis = (
        {name.split(".")[0] for name in loaded} for loaded in json.loads(answer.stdout.splitlines()[-1])
    )
    assert "skiplab" in after_help
    assert not after_help & {"torch", "hydra", "pandas", "pytorch_lightning"}
    assert not after_analysis & {"torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "wandb"}
    assert "torchvision" not in after_analysis
