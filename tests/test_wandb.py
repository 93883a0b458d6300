"""W&B's offline files hold a trial's group, arm, losses, gradient norms, picture and distances."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from skiplab.training.wandb_logger import cell_name
from tiny_trials import TINY, compose_config, run_composed

MEASURED = (
    "logger=wandb_offline",
    "evaluator=[denoising_loss,frechet,kernel,sample_grid]",
    "evaluator.kernel.subset_size=16",
    "evaluator.sample_grid.rows=2",
    "evaluator.sample_grid.columns=3",
    "instrument.gradient_flow.every_n_steps=2",
)


def inspect(path: Path) -> list[dict[str, Any]]:
    """W&B's own reading of its file: a record a line."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two trials in one process: (record, W&B's records) of plain and of identity."""
    runs_dir = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patched:
        # no account, and nobody to talk to
        patched.delenv("WANDB_API_KEY", raising=False)
        patched.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        patched.setenv("WANDB_DATA_DIR", str(tmp_path_factory.mktemp("staging")))
        found = []
        for connection in ("plain", "identity"):
            composed = compose_config(*TINY, *MEASURED, f"connection={connection}")
            record = run_composed(composed, runs_dir).record
            (path,) = record.folder.glob("wandb/offline-run-*/*.wandb")
            found.append((record, inspect(path)))
    return found


def of_type(lines: list[dict], kind: str) -> list[dict]:
    return [line[kind] for line in lines if line["type"] == kind]


def history(lines: list[dict], name: str) -> list[float]:
    return [item["item"][name] for item in of_type(lines, "history") if name in item["item"]]


def summary(lines: list[dict]) -> dict[str, Any]:
    return {name: value for update in of_type(lines, "summary") for name, value in update["update"].items()}


def test_two_trials_are_two_runs_and_both_are_ended(runs) -> None:
    ids = [of_type(lines, "run")[0]["run_id"] for _, lines in runs]
    assert ids == [record.key for record, _ in runs]
    for record, lines in runs:
        assert len(of_type(lines, "exit")) == 1
        assert record.read()["provenance"]["wandb_id"] == record.key


def test_arms_share_their_group_and_differ_in_job_type(runs) -> None:
    (plain,), (identity,) = (of_type(lines, "run") for _, lines in runs)
    assert plain["run_group"] == identity["run_group"]
    assert (plain["job_type"], identity["job_type"]) == ("plain", "identity")
    assert {"plain", "digits", "unet"} <= set(plain["tags"])
    assert plain["config"]["update"]["depth"] == 4
    assert plain["config"]["update"]["axis"]["connection"] == "plain"


def test_losses_and_gradient_norms_are_the_records(runs) -> None:
    for record, lines in runs:
        rows = (record.folder / "history.csv").read_text().splitlines()[1:]
        losses = [float(row.split(",")[2]) for row in rows]
        pairs = [(one + other) / 2 for one, other in zip(losses[::2], losses[1::2], strict=True)]
        assert history(lines, "loss") == pytest.approx(pairs)  # logged every two steps, as a mean
        rows = (record.folder / "layers.csv").read_text().splitlines()
        norms = [float(row.rsplit(",", 1)[1]) for row in rows if ",stem,weight_gradient_norm," in row]
        assert history(lines, "weight_gradient_norm/stem") == pytest.approx(norms)
        assert len(norms) == 3


def test_distances_are_the_records(runs) -> None:
    for record, lines in runs:
        found, expected = summary(lines), record.read()["summary"]
        assert {"frechet", "kernel", "skill_val"} <= set(expected)
        assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_picture_and_chart_are_there(runs) -> None:
    for record, lines in runs:
        found = summary(lines)
        (folder,) = record.folder.glob("wandb/offline-run-*")
        assert (folder / "files" / found["samples.path"]).read_bytes().startswith(b"\x89PNG")
        assert (record.folder / "samples.png").exists()
        chart = "_wandb.visualize.gradient_norm_by_layer"
        assert any(chart in config["update"] for config in of_type(lines, "config"))


def test_what_charts_draw_is_there_as_tables(runs) -> None:
    for record, lines in runs:
        rows = pd.read_csv(record.folder / "measurements.csv")
        (folder,) = record.folder.glob("wandb/offline-run-*")
        for evaluator, own in rows.groupby("evaluator"):
            table = json.loads((folder / "files" / summary(lines)[f"measurements/{evaluator}.path"]).read_text())
            assert [row[table["columns"].index("value")] for row in table["data"]] == pytest.approx(list(own["value"]))


def test_a_group_is_a_cell(compose_tiny) -> None:
    """Trials of one group differ in connection and seed alone."""
    from skiplab.training.key import factors

    def name(*overrides: str) -> str:
        composed = compose_tiny(*overrides)
        return cell_name(composed.choices, factors(composed.config))

    assert len({name(), name("connection=plain"), name("connection=scaled_half"), name("seed=3")}) == 1
    others = [
        name("depth=8"),
        name("long_skip=none"),
        name("optimizer.lr=0.1"),
        name("parametrisation=x0"),
        name("activation=silu"),
    ]
    assert others[-1] == name()
    assert len({*others, name()}) == 5


LISTENING = """
import atexit, socket, sys
asked = []
def refuse(host, *arguments, **keywords):
    asked.append(host)
    raise OSError("no network here")
socket.getaddrinfo = refuse
atexit.register(lambda: print("asked for", sorted(set(asked))))  # first, hence called last
from skiplab.cli import main
main()
"""


def test_offline_nobody_is_asked_for(tmp_path) -> None:
    command = [sys.executable, "-c", LISTENING, "train", *TINY, "connection=plain", "logger=wandb_offline"]
    ended = subprocess.run([*command, f"run.runs_dir={tmp_path}"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))
    assert ended.stdout.splitlines()[-1] == "asked for []"
