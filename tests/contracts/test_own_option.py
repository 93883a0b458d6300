"""A connection and a branch of one's own: a Python file and a YAML each in a folder outside the package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from own_options import CHOSEN, write_own_options
from skiplab.cli import main
from skiplab.testing import check_branch, check_connection
from tiny_trials import TINY


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    return write_own_options(tmp_path / "mine")


def arguments(own_folder: Path, runs_dir: Path) -> list[str]:
    return ["train", "--config-dir", str(own_folder / "conf"), *TINY, f"run.runs_dir={runs_dir}", *CHOSEN]


def only_record(runs_dir: Path) -> dict:
    (path,) = runs_dir.glob("*/record.json")
    return json.loads(path.read_text())


def test_are_trained_and_named_in_the_record(own_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(own_folder)
    main(arguments(own_folder, tmp_path / "runs"))
    record = only_record(tmp_path / "runs")
    assert record["status"] == "done"
    assert record["choices"]["connection"] == "leaky"
    assert record["choices"]["branch"] == "pointwise"
    assert record["factors"]["connection.leak"] == 0.9
    assert record["factors"]["branch.expansion"] == 2
    assert record["parity"]["num_joins"] == 4
    assert "done" in capsys.readouterr().out


def test_pass_their_contracts(own_folder, monkeypatch) -> None:
    monkeypatch.syspath_prepend(own_folder)
    from my_options import Leaky, Pointwise

    check_connection(lambda spec: Leaky(spec, leak=0.9))
    check_branch(lambda spec: Pointwise(spec, expansion=2))


@pytest.mark.slow
def test_from_the_command_line(own_folder, tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(own_folder), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", "from skiplab.cli import main; main()", *arguments(own_folder, tmp_path / "runs")],
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    assert only_record(tmp_path / "runs")["choices"]["connection"] == "leaky"


def test_an_unimportable_target_is_refused(own_folder, tmp_path, capsys) -> None:
    (own_folder / "conf" / "connection" / "leaky.yaml").write_text("_target_: no_such_module.Leaky\n")
    with pytest.raises(SystemExit) as ended:
        main(arguments(own_folder, tmp_path / "runs"))
    assert ended.value.code == 1
    assert "no_such_module.Leaky" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))
