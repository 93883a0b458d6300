"""What `pip install` gives is whole: a wheel in a fresh environment trains a user's own options and tabulates them."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from option_files import PACKAGE
from own_options import CHOSEN, write_own_options
from tiny_trials import TINY

# Run in the fresh environment: where things lie, and whether the user's options hold their contracts.
PROGRAM = """
import importlib.metadata, json
import hydra_plugins.skiplab_sweeper, skiplab
from skiplab.paths import project_dir
from skiplab.testing import check_branch, check_connection
from my_options import Leaky, Pointwise

check_connection(lambda spec: Leaky(spec, leak=0.9))
check_branch(lambda spec: Pointwise(spec, expansion=2))
places = [skiplab.__file__, hydra_plugins.skiplab_sweeper.__file__, project_dir("conf"), project_dir("experiments")]
print(json.dumps([importlib.metadata.version("skiplab"), *map(str, places)]))
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; its errors are shown where it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept |= {"OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, which borrows the dependencies, but not skiplab, of the tests' own."""
    folder = tmp_path_factory.mktemp("wheel")
    root = PACKAGE.parents[1]
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=True, symlinks=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # Lines of a .pth are added behind the environment's own packages, and the editable install's .pth isn't read there.
    (site_packages,) = environment.glob("lib/python*/site-packages")
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site_packages / "dependencies.pth").write_text("\n".join(borrowed) + "\n")
    return environment


@pytest.mark.slow
def test_trains_and_tabulates_options_of_ones_own(installed: Path, tmp_path: Path) -> None:
    mine, bin_folder = write_own_options(tmp_path / "mine"), installed / "bin"
    where = {"cwd": tmp_path, "PYTHONPATH": str(mine)}
    version, *places = json.loads(run(bin_folder / "python", "-c", PROGRAM, **where).splitlines()[-1])
    assert version
    assert all(Path(place).is_relative_to(installed) for place in places), places
    assert {"claims.yaml", "README.md"} <= {path.name for path in Path(places[-1]).glob("*/*")}
    chosen = [word for word in CHOSEN if not word.startswith("connection=")]
    sweep = ["-m", "--config-dir", mine / "conf", *TINY, *chosen, "connection=plain,leaky", "run.study=mine"]
    run(bin_folder / "skiplab", "train", *sweep, **where)
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/record.json")]
    assert {(record["status"], record["choices"]["connection"]) for record in records} == {
        ("done", "plain"),
        ("done", "leaky"),
    }
    assert {record["choices"]["branch"] for record in records} == {"pointwise"}
    table = run(bin_folder / "skiplab", "table", "mine", **where)
    assert "leaky" in table
    assert "skill" in table
    run(bin_folder / "skiplab", "report", "mine", **where)
    assert "<h1>mine</h1>" in (tmp_path / "runs" / "studies" / "mine" / "report.html").read_text()


@pytest.mark.slow
def test_the_first_steps_work_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    skiplab, folder = installed / "bin" / "skiplab", tmp_path / "mine"
    assert "skiplab report first" in run(skiplab, "init", "mine", cwd=tmp_path)
    short = [word for word in TINY if not word.startswith(("depth", "evaluator", "logger"))]
    where = {"cwd": folder, "PYTHONPATH": "."}
    run(skiplab, "train", "-m", "--config-dir", "conf", "experiment=first", *short, **where)
    assert "fading_costs_skill" in run(skiplab, "report", "first", cwd=folder)
    assert "looks: at 3, 6, 12" in run(skiplab, "decide", "first", "--config-dir", "conf", "--dry-run", *short, **where)
