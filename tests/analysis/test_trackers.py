"""Runs that code without skiplab has logged become a table, whatever the tracker; what is doubtful is listed."""

import itertools
import json
import math
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from command_line import Ended, as_newcomer, end_wandb, run_command, run_script
from shell_lines import ROOT, fenced
from skiplab.analysis.trackers import event_files, folder_runs
from skiplab.analysis.trackers.find_runs import find_runs
from skiplab.analysis.trackers.foreign_run import ForeignRun
from skiplab.analysis.trackers.mlflow_runs import mlflow_runs
from skiplab.analysis.trackers.wandb_runs import project_runs
from skiplab.errors import SkiplabError

# What every tracker below holds: plain 0, 1, 2 and residual 0, 1, 2.
ARMS = {"plain": 0.0, "residual": 0.3}
LOSSES = {(arm, seed): 1.0 + 0.1 * seed - better for arm, better in ARMS.items() for seed in range(3)}
MLFLOW = """
CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, lifecycle_stage TEXT);
CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);
CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);
CREATE TABLE metrics (run_uuid TEXT, key TEXT, value REAL, step INT, timestamp INT, is_nan BOOLEAN);
"""
WORDS = ["--arm", "config.model", "--metric", "val/loss:lower"]


def imported(source: str | Path, *options: str, folder: Path) -> tuple[Ended, pd.DataFrame]:
    """`skiplab import` of a source, and the table that it wrote."""
    path = folder / "runs.csv"
    path.unlink(missing_ok=True)
    ended = run_command(["import", str(source), "--to", str(path), *options])
    return ended, pd.read_csv(path) if path.exists() else pd.DataFrame()


def check_losses(table: pd.DataFrame, arm: str = "model", seed: str = "seed", metric: str = "val/loss") -> None:
    found = {(a, int(str(s)[-1])): loss for a, s, loss in table[[arm, seed, metric]].itertuples(index=False)}
    assert found == pytest.approx(LOSSES)
    assert set(table["status"]) == {"done"}


@pytest.fixture(scope="module")
def wandb_runs(tmp_path_factory) -> Iterator[Path]:
    """The runs of the script of docs/own_tracker.md, which knows nothing of skiplab."""
    folder = tmp_path_factory.mktemp("wandb")
    (script,) = (text for text in fenced(ROOT / "docs" / "own_tracker.md") if "import wandb" in text)
    (folder / "train_mine.py").write_text(script)
    with pytest.MonkeyPatch.context() as patched:
        as_newcomer(patched, folder)
        patched.setenv("WANDB_SILENT", "true")
        run_script(folder / "train_mine.py")
    return folder / "wandb"


def test_offline_runs_of_wandb(wandb_runs, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended, table = imported(wandb_runs, *WORDS, "--by", "config.optim.lr", "--history", "curves.csv", folder=tmp_path)
    assert list(table.columns) == ["run", "model", "optim.lr", "seed", "val/loss", "status"]
    assert "6 runs: 3 of plain, 3 of residual" in ended.text
    assert set(table["status"]) == {"done"}
    curves = pd.read_csv("curves.csv")
    assert len(curves) == 6 * 11
    steps = curves.loc[(curves["model"] == "plain") & (curves["seed"] == 0) & (curves["metric"] == "train/loss")]
    assert list(steps["value"]) == pytest.approx([2.0 * 0.99**step for step in range(1, 11)])
    command = re.search(r"next: skiplab (.*)", ended.text)
    assert command is not None
    judged = run_command(command[1].split())
    assert "residual has lower val/loss than plain" in judged.text
    assert judged.code == 0


def test_a_run_of_wandb_that_was_killed_is_running_with_its_last_values(wandb_runs, tmp_path) -> None:
    """Its file ends in the middle of the record that first holds val/loss."""
    path = min(wandb_runs.rglob("*.wandb"))
    torn = tmp_path / path.parent.name
    torn.mkdir()
    content = path.read_bytes()
    (torn / path.name).write_bytes(content[: content.index(b"val/loss")])
    ((run,), _) = find_runs(str(tmp_path))
    assert run.status == "running"
    assert 9 <= len(run.history) <= 10  # W&B writes a summary before or after the step that it sums up
    assert set(run.metrics) == {"train/loss"}
    (torn / path.name).write_bytes(b"no such file")
    runs, (problem,) = find_runs(str(tmp_path))
    assert (runs, problem.reason) == ([], "it is no file of W&B")


def test_long_records_of_wandb_span_blocks(tmp_path, monkeypatch) -> None:
    import wandb

    as_newcomer(monkeypatch, tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = {"seed": 1, "text": "x" * 100_000, "nothing": None, "list": [1, 2]}
    run = wandb.init(project="p", mode="offline", config=config)
    run.log({"a": {"b": 1.5}, "c": float("nan")})
    run.finish(exit_code=1)
    end_wandb()
    ((found,), _) = find_runs("wandb")
    assert found.status == "failed"
    assert found.said["config.text"] == "x" * 100_000
    assert found.metrics["a.b"] == 1.5
    assert found.metrics["c"] != found.metrics["c"]


def test_runs_of_a_project_of_wandb() -> None:
    rows = [{"_step": 0, "val/loss": 3.0}, {"_step": 1, "val/loss": 1.0}]
    run = SimpleNamespace(
        id="abc",
        name="n",
        group="g",
        job_type=None,
        state="crashed",
        config={"model": "plain", "seed": 1, "_wandb": {}},
        summary={"val/loss": 1.0, "_step": 1},
        scan_history=lambda: iter(rows),
    )
    api = SimpleNamespace(runs=lambda path: [run] if path == "me/mine" else [])
    ((found,), _) = project_runs("me/mine", api, with_history=True)
    assert (found.status, found.said["config.model"], found.metrics) == ("failed", "plain", {"val/loss": 1.0})
    assert [value.value for value in found.history] == [3.0, 1.0]
    assert found.said["group"] == "g"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_folders_of_lightning_s_csv_logger(tmp_path) -> None:
    from pytorch_lightning.loggers import CSVLogger

    for number, ((arm, seed), loss) in enumerate(LOSSES.items()):
        logger = CSVLogger(tmp_path / "logs", name=arm, version=number)
        logger.log_hyperparams({"model": arm, "seed": seed})
        logger.log_metrics({"train/loss": loss + 1}, 0)
        logger.log_metrics({"val/loss": loss}, 7)
        logger.save()
    ended, table = imported(tmp_path / "logs", *WORDS, folder=tmp_path)
    assert ended.code == 0, ended.text
    check_losses(table)


@pytest.mark.parametrize("file", ["metrics.json", "results.jsonl", "sub/scores.csv"])
def test_jobs_of_a_hydra_multirun(file: str, tmp_path) -> None:
    for number, ((arm, seed), loss) in enumerate(LOSSES.items()):
        job = tmp_path / "multirun" / "2026-01-01" / str(number)
        write(job / ".hydra" / "config.yaml", f"model: {arm}\nseed: {seed}\nname: ${{model}}\n")
        text = {
            "metrics.json": json.dumps({"val": {"loss": loss}}),
            "results.jsonl": f'{{"val.loss": 9, "step": 0}}\n{{"val.loss": {loss}, "step": 1}}\n',
            "sub/scores.csv": f"step,val.loss\n0,9\n1,{loss}\n2,\n",
        }[file]
        write(job / file, text)
    words = ["--arm", "config.name", "--metric", "val.loss:lower"]
    ended, table = imported(tmp_path / "multirun", *words, folder=tmp_path)
    assert ended.code == 0, ended.text
    check_losses(table, "name", metric="val.loss")


def test_a_folder_of_mlflow_s_files(tmp_path) -> None:
    for number, ((arm, seed), loss) in enumerate(LOSSES.items()):
        run = tmp_path / "mlruns" / "0" / f"{number:032x}"
        write(run / "meta.yaml", f"run_id: {number:032x}\nrun_name: r\nstatus: 3\nlifecycle_stage: active\n")
        write(run / "params" / "model", arm)
        write(run / "params" / "seed", str(seed))
        write(run / "metrics" / "val" / "loss", f"1795865301 9.0 0\n1795865302 {loss!r} 1\n")
        write(run / "artifacts" / "metrics.json", '{"val/loss": 77}')
    deleted = tmp_path / "mlruns" / "0" / "gone"
    write(deleted / "meta.yaml", "run_id: gone\nstatus: 3\nlifecycle_stage: deleted\n")
    write(deleted / "metrics" / "val" / "loss", "1 5.0 0\n")
    ended, table = imported(tmp_path / "mlruns", *WORDS, folder=tmp_path)
    assert ended.code == 0, ended.text
    check_losses(table)


def test_a_database_of_mlflow(tmp_path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.executescript(MLFLOW)
        for number, ((arm, seed), loss) in enumerate(LOSSES.items()):
            database.execute("INSERT INTO runs VALUES (?, 'n', 'FINISHED', 'active')", (str(number),))
            for key, value in (("model", arm), ("seed", str(seed))):
                database.execute("INSERT INTO params VALUES (?, ?, ?)", (str(number), key, value))
            for step, value in ((0, 9.0), (1, loss)):
                database.execute("INSERT INTO metrics VALUES (?, 'val/loss', ?, ?, 0, 0)", (str(number), value, step))
    database.close()
    ended, table = imported(tmp_path, *WORDS, folder=tmp_path)
    assert ended.code == 0, ended.text
    check_losses(table)


def test_a_database_of_mlflow_writes_infinity_as_the_largest_number(tmp_path) -> None:
    values = (1.0, 1.7976931348623157e308, -1.7976931348623157e308, 0.0)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.executescript(MLFLOW)
        for number, value in enumerate(values):
            database.execute("INSERT INTO runs VALUES (?, 'n', 'FINISHED', 'active')", (str(number),))
            is_nan = number == len(values) - 1
            database.execute("INSERT INTO metrics VALUES (?, 'loss', ?, 0, 0, ?)", (str(number), value, is_nan))
    database.close()
    found = [run.history[0].value for run in mlflow_runs(tmp_path)[0]]
    assert found[:3] == [1.0, math.inf, -math.inf]
    assert math.isnan(found[3])


def test_event_files_of_tensorboard(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    for (arm, seed), loss in LOSSES.items():
        with SummaryWriter(str(tmp_path / "tb" / arm / f"seed_{seed}")) as writer:
            writer.add_hparams({"model": arm, "seed": seed}, {"done": 1.0}, run_name=".")
            for step, value in ((0, 9.0), (1, loss)):
                writer.add_scalar("val/loss", value, step)
    for words in (["--arm", "path.0", "--seed", "path.1"], ["--arm", "config.model"]):
        ended, table = imported(tmp_path / "tb", *words, "--metric", "val/loss:lower", folder=tmp_path)
        assert ended.code == 0, ended.text
        columns = ("path.0", "path.1") if "path.0" in words else ("model", "seed")
        check_losses(table, *columns)


def test_event_files_ask_for_their_package(tmp_path, monkeypatch) -> None:
    write(tmp_path / "tb" / "a" / "events.out.tfevents.1", "")
    for module in (event_files, folder_runs):
        monkeypatch.setattr(module, "has_reader", lambda: False)
    ended, _ = imported(tmp_path / "tb", *WORDS, folder=tmp_path)
    assert ended.text == (
        "skiplab: TensorBoard's event files need a package to be read: pip install 'skiplab[tensorboard]'\n"
    )
    write(tmp_path / "tb" / "a" / "metrics.json", '{"x": 1}')
    ended, _ = imported(tmp_path / "tb", "--arm", "path.0", "--seed", "name", "--metric", "x:lower", folder=tmp_path)
    assert ended.code == 0
    assert "events.out.tfevents.1: it needs a package" in ended.text


def folder_of(tmp_path: Path, runs: dict[str, tuple[Any, Any, str]]) -> Path:
    """A folder of runs: arm, seed and the text of metrics.json of each."""
    for name, (arm, seed, metrics) in runs.items():
        config = {key: value for key, value in (("model", arm), ("seed", seed)) if value is not None}
        write(tmp_path / "all" / name / "config.json", json.dumps(config))
        write(tmp_path / "all" / name / "metrics.json", metrics)
    return tmp_path / "all"


def test_what_is_missing_or_doubtful_is_listed(tmp_path) -> None:
    source = folder_of(
        tmp_path,
        {
            "a": ("plain", 0, '[{"val/loss": 1, "step": 9}]'),
            "b": ("plain", None, '{"val/loss": 1}'),
            "c": (None, 1, '{"val/loss": 1}'),
            "d": ("residual", 0, '{"other": 1}'),
            "e": ("plain", 0, '{"val/loss": 2}'),
            "f": ("residual", 1, '[{"val/loss": 1, "step": 4}]'),
            "g": ("residual", 2, "{torn"),
        },
    )
    ended, table = imported(source, *WORDS, folder=tmp_path)
    lines = ended.text.splitlines()
    assert "left out: b has no config.seed" in lines
    assert "left out: c has no config.model" in lines
    assert "doubtful: d has no val/loss" in lines
    assert "the same run 2 times, config.model plain, config.seed 0: a, e; remove all but one from the table" in lines
    assert "doubtful: f ended at step 4, others at 9" in lines
    assert any(line.startswith("not read: ") and "g/metrics.json" in line for line in lines)
    assert sorted(table["run"]) == ["a", "d", "e", "f", "g"]
    ended = run_command(
        f"compare {tmp_path}/runs.csv --arm model --seed seed --status status --metric val/loss:lower".split()
    )
    assert "are the same run, arm" not in ended.text
    assert "are the same run, model plain, seed 0" in ended.text


def test_a_crashed_run_gives_way_to_the_one_that_repeats_it() -> None:
    from skiplab.analysis.trackers.imported import Wanted, as_table

    said = {"config.model": "plain", "config.seed": 0}
    runs = [ForeignRun("one", "failed", said, {"x": 1.0}), ForeignRun("two", "done", said, {"x": 2.0})]
    runs.append(ForeignRun("three", "failed", said | {"config.seed": 1}, {}))
    found = as_table(runs, [], Wanted("config.model", "config.seed", (), ("x",)))
    assert list(found.table["run"]) == ["two", "three"]
    assert found.doubts == [
        "left out: one (failed), since two is done with the same config.model plain, config.seed 0",
        "doubtful: three is failed",
    ]


def test_rows_stand_by_arm_and_seed_whatever_order_a_tracker_gives() -> None:
    from skiplab.analysis.trackers.imported import Wanted, as_table

    rows = [("gated", "9"), ("gated", "10"), ("identity", "9"), ("identity", "10"), ("identity", "last")]
    runs = [ForeignRun(f"{arm} {seed}", "done", {"arm": arm, "seed": seed}, {"x": 1.0}) for arm, seed in rows]
    for order in itertools.permutations(runs):
        table = as_table(order, [], Wanted("arm", "seed", (), ("x",))).table
        assert list(zip(table["arm"], table["seed"], strict=True)) == rows


def test_wrong_names_are_told(tmp_path) -> None:
    source = folder_of(tmp_path, {"a": ("plain", 0, '{"val/loss": 1}')})
    for words, sentence in {
        ("--arm", "config.modle", "--metric", "val/loss:lower"): "no run has 'config.modle'; they have config.model, ",
        ("--arm", "model", "--metric", "val/loss:lower"): "did you mean 'config.model'?",
        ("--arm", "config.model", "--metric", "loss:lower"): "no run has 'loss' as a metric; they have val/loss",
        ("--arm", "config.model", "--metric", "val/loss"): "doesn't say which values are better",
        ("--arm", "config.seed", "--metric", "val/loss:lower"): "'config.seed' is named twice",
    }.items():
        ended, table = imported(source, *words, folder=tmp_path)
        assert (ended.code, len(ended.text.splitlines()), len(table)) == (1, 1, 0)
        assert sentence in ended.text
    ended = run_command(["import", str(source), "--to", "x.xlsx", *WORDS])
    assert "x.xlsx has no ending of a table; valid: .csv, .parquet" in ended.text


def test_sources_without_runs_and_with_several_trackers_are_told(tmp_path) -> None:
    with pytest.raises(SkiplabError, match="holds no runs; valid: ENTITY/PROJECT of W&B, or a folder"):
        find_runs(str(tmp_path))
    with pytest.raises(SkiplabError, match="valid: ENTITY/PROJECT, or a folder"):
        find_runs("no/such/folder")
    with pytest.raises(SkiplabError, match="valid for --tracker mlflow: a folder"):
        find_runs("me/mine", "mlflow")
    source = folder_of(tmp_path, {"a": ("plain", 0, '{"val/loss": 1}')})
    write(source / "mlflow.db", "")
    with pytest.raises(SkiplabError, match="holds runs of mlflow and files; say which with --tracker mlflow"):
        find_runs(str(source))
    runs, _ = find_runs(str(source), "files")
    assert [run.name for run in runs] == ["a"]
    _, problems = find_runs(str(source), "mlflow")
    assert "no such table" in problems[0].reason


def test_links_out_of_the_source_are_not_followed(tmp_path) -> None:
    source = folder_of(tmp_path, {"a": ("plain", 0, '{"val/loss": 1}')})
    (tmp_path / "secret.json").write_text('{"password": 1}')
    (source / "a" / "args.json").symlink_to(tmp_path / "secret.json")
    (run,), (problem,) = find_runs(str(source))
    assert "config.password" not in run.said
    assert "it is a link to" in problem.reason


def test_a_table_may_be_parquet_with_seeds_of_mixed_types(tmp_path) -> None:
    source = folder_of(tmp_path, {"a": ("plain", 0, '{"val/loss": 1}'), "b": ("plain", "x", '{"val/loss": 1}')})
    ended = run_command(["import", str(source), "--to", str(tmp_path / "t.parquet"), *WORDS])
    assert ended.code == 0, ended.text
    assert list(pd.read_parquet(tmp_path / "t.parquet")["seed"]) == ["0", "x"]
