"""W&B's offline files hold a trial's group, arm, losses, gradient norms, picture and distances."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from example_records import example_record
from skiplab.analysis.study.study import read_study
from skiplab.analysis.wandb.wandb_import import import_runs
from skiplab.errors import SkiplabError
from skiplab.training.wandb_logger import cell_name
from tiny_trials import TINY, compose_config, run_composed

MEASURED = (
    "logger=wandb_offline",
    "evaluator=[denoising_loss,frechet_distance,kernel_distance,sample_grid]",
    "evaluator.kernel_distance.subset_size=16",
    "evaluator.sample_grid.rows=2",
    "evaluator.sample_grid.columns=3",
    "instrument.gradient_flow.every_n_steps=2",
)


def inspect(path: Path) -> list[dict[str, Any]]:
    """W&B's own reading of its file: a record a line."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


asked: list[str] = []  # the hosts that offline trials looked up


def refuse(host, *arguments, **keywords):
    asked.append(host)
    raise OSError("no network here")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two trials in one process: (record, W&B's records) of plain and of identity."""
    runs_dir = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patched:
        # no account, and nobody to talk to
        patched.delenv("WANDB_API_KEY", raising=False)
        patched.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        patched.setenv("WANDB_DATA_DIR", str(tmp_path_factory.mktemp("staging")))
        patched.setattr(socket, "getaddrinfo", refuse)
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
        assert history(lines, "layers/weight_gradient_norm/stem") == pytest.approx(norms)
        assert len(norms) == 3


def test_distances_are_the_records(runs) -> None:
    for record, lines in runs:
        found, expected = summary(lines), record.read()["summary"]
        assert {"frechet_distance", "kernel_distance", "skill_val"} <= set(expected)
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


@pytest.fixture
def runs_dir(runs) -> Path:
    return runs[0][0].runs_dir


def same_study(name: str, one: Path, other: Path) -> None:
    """Their frames are equal to the last digit."""
    a, b = read_study(name, one), read_study(name, other)
    assert len(a.trials) == 2
    for frame in ("trials", "history", "layers", "measurements"):
        pd.testing.assert_frame_equal(getattr(a, frame), getattr(b, frame))


def study_of(runs_dir: Path) -> str:
    (path,) = runs_dir.glob("studies/*/keys.txt")
    return path.parent.name


def test_offline_runs_come_back_as_the_records_they_were(runs_dir, tmp_path) -> None:
    taken, left = import_runs(str(runs_dir), tmp_path)
    assert (len(taken), left) == (2, [])
    same_study(study_of(runs_dir), runs_dir, tmp_path)
    again, _ = import_runs(str(runs_dir), tmp_path)
    assert all("already there" in line for line in again)
    assert len((tmp_path / "studies" / study_of(runs_dir) / "keys.txt").read_text().split()) == 2


class StandIn:
    """What wandb.Api offers of a project, from folders of files; it counts what is downloaded."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders, self.downloads = folders, 0

    def runs(self, path: str):
        assert path == "me/skiplab"
        return [StandInRun(self, folder) for folder in self.folders]


class StandInRun:
    def __init__(self, api: StandIn, folder: Path) -> None:
        self.api, self.folder, self.id = api, folder, folder.name

    def files(self, names):
        return [self.file(name) for name in names if (self.folder / name).exists()]

    def file(self, name):
        return StandInFile(self, name)


class StandInFile:
    def __init__(self, run: StandInRun, name: str) -> None:
        self.run, self.name = run, name

    def download(self, root, replace):
        self.run.api.downloads += 1
        shutil.copy(self.run.folder / self.name, Path(root) / self.name)


def test_runs_of_a_project_come_back_and_others_are_left_out(runs, runs_dir, tmp_path) -> None:
    foreign = tmp_path / "someone_elses"
    foreign.mkdir()
    api = StandIn([record.folder for record, _ in runs] + [foreign])
    taken, left = import_runs("me/skiplab", tmp_path / "back", api=api)
    assert len(taken) == 2
    assert left == ["someone_elses: it carries no record: no trial of skiplab, or one that was killed"]
    same_study(study_of(runs_dir), runs_dir, tmp_path / "back")
    before = api.downloads
    import_runs("me/skiplab", tmp_path / "back", "other", api=api)
    assert api.downloads - before == 2  # of each trial the record
    same_study("other", tmp_path / "back", tmp_path / "back")


def test_weights_that_no_run_carries_are_not_called_lost(runs, tmp_path) -> None:
    folders = [record.folder for record, _ in runs]
    import_runs("me/skiplab", tmp_path, "s", api=StandIn(folders))
    assert not read_study("s", tmp_path).problems
    for folder in folders:
        record, back = (
            json.loads((each / folder.name / "record.json").read_text()) for each in (folder.parent, tmp_path)
        )
        assert record["files"].pop("weights.safetensors")
        assert record.pop("checksum") != back.pop("checksum")
        assert back == record


def test_a_run_that_lost_a_file_says_so(runs, tmp_path) -> None:
    whole, cut = (shutil.copytree(record.folder, tmp_path / record.key) for record, _ in runs)
    (cut / "layers.csv").unlink()
    import_runs("me/skiplab", tmp_path / "back", "s", api=StandIn([whole, cut]))
    (problem,) = read_study("s", tmp_path / "back").problems
    assert Path(problem.where) == tmp_path / "back" / cut.name / "layers.csv"
    assert problem.reason.startswith("it is missing; ")


@pytest.mark.parametrize("key", ["../../etc", "0123456789ABCDEF", "<b>"])
def test_nothing_is_written_elsewhere(tmp_path, key) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(example_record(key)))
    (folder / "config.yaml").write_text("run: {study: s}")
    _, (line,) = import_runs("me/skiplab", tmp_path / "back", api=StandIn([folder]))
    assert "valid: 16 digits of 0-9a-f" in line
    (folder / "record.json").write_text(json.dumps(example_record("0" * 16)))
    (folder / "config.yaml").write_text("run: {study: ../../s}")
    _, (line,) = import_runs("me/skiplab", tmp_path / "back", api=StandIn([folder]))
    assert "name one with --study" in line
    assert not (tmp_path / "back").exists()


def test_a_source_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(SkiplabError, match="valid: ENTITY/PROJECT, or a folder"):
        import_runs("no/such/thing", tmp_path)
    with pytest.raises(SkiplabError, match="holds no runs"):
        import_runs(str(tmp_path), tmp_path)


def test_a_group_is_a_cell(compose_tiny) -> None:
    """Trials of one group differ in connection and seed alone."""
    from skiplab.records.key import factors

    def name(*overrides: str) -> str:
        composed = compose_tiny(*overrides)
        return cell_name(composed.choices, factors(composed.config))

    assert len({name(), name("connection=plain"), name("connection=scaled_half"), name("seed=3")}) == 1
    others = [
        name("depth=8"),
        name("long_skip=none"),
        name("optimizer.lr=0.1"),
        name("prediction=x0"),
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


def test_offline_nobody_is_asked_for(runs) -> None:
    assert runs
    assert asked == []


@pytest.mark.slow
def test_offline_a_process_of_its_own_asks_for_nobody(tmp_path) -> None:
    command = [sys.executable, "-c", LISTENING, "train", *TINY, "connection=plain", "logger=wandb_offline"]
    ended = subprocess.run([*command, f"run.runs_dir={tmp_path}"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))
    assert ended.stdout.splitlines()[-1] == "asked for []"
