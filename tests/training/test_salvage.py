"""A broken-off trial whose files a disk tore, or people mixed up, still comes to an unbroken one's weights."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import skiplab
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.records.record import Record
from skiplab.training.module import AblationModule
from tiny_trials import TINY, run_tiny

OWN = ("trainer.max_steps=9", "instrument.update_ratio.every_n_steps=1")
BROKEN_AT = 7  # checkpoints lie behind steps 2, 4, 6, of which two are kept


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Record:
    return run_tiny(tmp_path_factory.mktemp("unbroken"), *OWN).record


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Record:
    """Another trial of the same shapes, broken off at the same step."""
    return break_off(tmp_path_factory.mktemp("other"), "seed=1")


@pytest.fixture(scope="module")
def foreign_weights(tmp_path_factory) -> Path:
    return run_tiny(tmp_path_factory.mktemp("foreign"), *OWN, "seed=1").record.weights


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where trials are broken off and where they are resumed, since a checkpoint says where it lies."""
    return tmp_path_factory.mktemp("place") / "runs"


@pytest.fixture
def runs_dir(place: Path) -> Path:
    return emptied(place)


@pytest.fixture(scope="module")
def broken_off(place: Path) -> Record:
    return moved(break_off(emptied(place)), "broken_off")


@pytest.fixture(scope="module")
def unevaluated(place: Path) -> Record:
    """A trial that was trained, and ended before it was evaluated."""

    def breaking(*_):
        raise RuntimeError("the power went")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("skiplab.training.measure.evaluate", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run_tiny(emptied(place), *OWN)
    return moved(only_record(place), "unevaluated")


def break_off(runs_dir: Path, *overrides: str) -> Record:
    """A trial that failed in mid training."""
    after_update, calls = UpdateRatio.after_update, []

    def breaking(self):
        calls.append(None)
        if len(calls) == BROKEN_AT + 1:
            raise RuntimeError("the power went")
        return after_update(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(UpdateRatio, "after_update", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run_tiny(runs_dir, *OWN, *overrides)
    return only_record(runs_dir)


def only_record(runs_dir: Path) -> Record:
    (folder,) = (path.parent for path in runs_dir.glob("*/record.json"))
    return Record(runs_dir, folder.name)


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def moved(record: Record, name: str) -> Record:
    """Out of the way of others, to be copied back."""
    return Record(record.folder.parent.rename(record.folder.parents[1] / name), record.key)


def copied(record: Record, runs_dir: Path) -> Record:
    """One that may be spoilt."""
    shutil.copytree(record.folder.parent, runs_dir, dirs_exist_ok=True)
    return Record(runs_dir, record.key)


def truncate(path: Path, foreign: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path, foreign: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path, foreign: Path) -> None:
    path.write_bytes(bytes(range(256)) * (path.stat().st_size // 256))


def change_one_bit(path: Path, foreign: Path) -> None:
    """In the middle of a tensor: what readers without checksums take for a weight."""
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            tensors = [entry for entry in archive.infolist() if "/data/" in entry.filename]  # behind the pickle
            tensor = archive.read(max(tensors, key=lambda entry: entry.file_size))
        place = content.find(tensor) + len(tensor) // 2
    content[place] ^= 1
    path.write_bytes(content)


def swap(path: Path, foreign: Path) -> None:
    shutil.copy(foreign, path)


DAMAGES = [truncate, empty, garbage, change_one_bit, swap]


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The steps that are trained."""
    seen, train = [], AblationModule.training_step

    def training_step(module, batch, batch_index):
        seen.append(module.global_step)
        return train(module, batch, batch_index)

    monkeypatch.setattr(AblationModule, "training_step", training_step)
    return seen


def assert_equal(record: Record, unbroken: Record) -> None:
    assert record.read()["status"] == "done"
    assert record.weights.read_bytes() == unbroken.weights.read_bytes()
    assert record.read()["summary"] == unbroken.read()["summary"]
    for name, cells in (("history", ["step", "metric"]), ("layers", ["step", "path", "quantity"])):
        rows, others = (
            pd.read_csv(each.folder / f"{name}.csv")
            .drop_duplicates(cells, keep="last")
            .sort_values(cells, ignore_index=True)
            for each in (record, unbroken)
        )
        pd.testing.assert_frame_equal(rows, others, check_exact=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_spoilt_checkpoint_gives_way_to_the_one_before(
    damage: Callable, broken_off, unbroken, other, runs_dir, steps, capsys
) -> None:
    record = copied(broken_off, runs_dir)
    assert sorted(path.name for path in record.checkpoints.iterdir()) == ["step=4.ckpt", "step=6.ckpt"]
    damage(record.checkpoints / "step=6.ckpt", other.checkpoints / "step=6.ckpt")
    steps.clear()
    capsys.readouterr()
    trial = run_tiny(runs_dir, *OWN)
    assert (trial.outcome.action, steps) == ("resumed", [4, 5, 6, 7, 8])
    assert_equal(record, unbroken)
    (told,) = record.read()["salvaged"]
    assert "step=6.ckpt can't be used" in told
    assert "training resumes from step=4.ckpt" in told
    assert f"trial {record.key}: {told}\n" in capsys.readouterr().out
    (aside,) = (runs_dir / "replaced").iterdir()
    assert [path.name for path in aside.iterdir()] == ["step=6.ckpt"], "nothing is thrown away"


@pytest.mark.parametrize("damage", [empty, swap])
def test_where_no_checkpoint_is_left_training_begins_again(
    damage: Callable, broken_off, unbroken, other, runs_dir, steps, capsys
) -> None:
    record = copied(broken_off, runs_dir)
    for path in sorted(record.checkpoints.iterdir()):
        damage(path, other.checkpoints / path.name)
    steps.clear()
    trial = run_tiny(runs_dir, *OWN)
    assert (trial.outcome.action, steps) == ("trained", list(range(9)))
    assert_equal(record, unbroken)
    (told,) = record.read()["salvaged"]
    assert "training starts again" in told
    assert len(pd.read_csv(record.folder / "history.csv")) == 9
    (aside,) = (runs_dir / "replaced").iterdir()
    assert (aside / "record.json").exists()


def test_what_another_trial_left_is_told_by_its_key(broken_off, unbroken, other, runs_dir, steps, capsys) -> None:
    """Its checkpoint agrees with its own tables; only the key says whose both are."""
    record = copied(broken_off, runs_dir)
    for name in ("history.csv", "layers.csv", "checkpoints/step=6.ckpt"):
        shutil.copy(other.folder / name, record.folder / name)
    steps.clear()
    run_tiny(runs_dir, *OWN)
    assert steps == list(range(9))
    assert_equal(record, unbroken)
    assert f"step=6.ckpt can't be used (it belongs to trial {other.key})" in record.read()["salvaged"][0]


def test_a_sweep_that_retries_gets_over_it(broken_off, unbroken, runs_dir, capsys) -> None:
    record = copied(broken_off, runs_dir)
    empty(record.checkpoints / "step=6.ckpt", record.folder)
    grid = ["-m", *TINY, *OWN, "hydra/launcher=basic", f"run.runs_dir={runs_dir}", "run.retry_failed=true"]
    main(["train", *grid])
    assert_equal(record, unbroken)
    assert "training resumes from step=4.ckpt" in capsys.readouterr().out


@pytest.mark.parametrize("table", ["history.csv", "layers.csv"])
@pytest.mark.parametrize("damage", [empty, garbage])
def test_a_table_that_lost_what_was_before_a_checkpoint_spoils_it(
    damage: Callable, table: str, broken_off, unbroken, runs_dir, capsys
) -> None:
    record = copied(broken_off, runs_dir)
    damage(record.folder / table, record.folder)
    run_tiny(runs_dir, *OWN)
    assert_equal(record, unbroken)
    assert f"{table} has lost rows" in record.read()["salvaged"][0]


@pytest.mark.parametrize("table", ["history.csv", "layers.csv"])
def test_rubbish_behind_a_checkpoint_is_cut_off(table: str, broken_off, unbroken, runs_dir, steps, capsys) -> None:
    record = copied(broken_off, runs_dir)
    with (record.folder / table).open("ab") as file:
        file.write(b"\0\0\0,what\n\xff\n")
    steps.clear()
    run_tiny(runs_dir, *OWN)
    assert steps == [6, 7, 8]
    assert_equal(record, unbroken)
    assert f"{table} can't be used (it has damaged rows)" in record.read()["salvaged"][0]


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\x7f", "\r", "\t", "\x9b"])
def test_no_path_with_a_control_sign_stays_behind_a_checkpoint(
    sign: str, broken_off, unbroken, runs_dir, steps, capsys
) -> None:
    """As a row it would do: no later one of the same path takes its place."""
    record = copied(broken_off, runs_dir)
    with (record.folder / "layers.csv").open("ab") as file:
        file.write(f'6,0,"st{sign}em",update_ratio,0.5\n'.encode())
    steps.clear()
    run_tiny(runs_dir, *OWN)
    assert steps == [6, 7, 8]
    assert_equal(record, unbroken)
    assert "layers.csv can't be used (it has damaged rows)" in record.read()["salvaged"][0]


def append_rubbish(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0\0\0,what\n\xff\n")


def append_torn_line(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"8,0,st")


def append_row(path: Path) -> None:
    """Its last once more, with another value."""
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[-1] + b"1\n")


def double(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


@pytest.mark.parametrize("table", ["history.csv", "layers.csv"])
@pytest.mark.parametrize("add", [append_rubbish, append_torn_line, append_row, double])
def test_what_follows_the_tables_of_trained_weights_is_cut_off(
    add: Callable, table: str, unevaluated, unbroken, runs_dir, steps, capsys
) -> None:
    record = copied(unevaluated, runs_dir)
    path = record.folder / table
    before = path.read_bytes()
    add(path)
    steps.clear()
    run_tiny(runs_dir, *OWN)
    assert not steps
    assert path.read_bytes() == before
    assert_equal(record, unbroken)
    assert record.read()["salvaged"] == [f"rows after the trial's last were removed from {table}"]


@pytest.mark.parametrize("add", [append_rubbish, double])
def test_a_finished_record_is_measured_further_where_its_tables_go_on(
    add: Callable, unbroken, runs_dir, capsys
) -> None:
    record = copied(unbroken, runs_dir)
    path = record.folder / "layers.csv"
    before = path.read_bytes()
    add(path)
    again = run_tiny(runs_dir, *OWN, "evaluator=[denoising_loss,baselines]")
    assert (again.outcome.action, again.outcome.status) == ("evaluated", "done")
    assert path.read_bytes() == before


def test_no_mark_of_a_strange_record_cuts_other_files(unbroken, runs_dir, capsys) -> None:
    record = copied(unbroken, runs_dir)
    outside = runs_dir / "outside.csv"
    outside.write_text("kept")
    before = [(record.folder / f"{name}.csv").read_bytes() for name in ("history", "layers")]
    record.update(trained=record.read()["trained"] | {"tables": {"../outside": (0, 0)}})
    assert run_tiny(runs_dir, *OWN, "evaluator=[denoising_loss,baselines]").outcome.action == "evaluated"
    assert outside.read_text() == "kept"
    assert [(record.folder / f"{name}.csv").read_bytes() for name in ("history", "layers")] == before


@pytest.mark.parametrize("damage", [truncate, change_one_bit, swap])
def test_spoilt_weights_of_an_unfinished_record_are_trained_again(
    damage: Callable, unevaluated, unbroken, foreign_weights, runs_dir, steps, capsys
) -> None:
    record = copied(unevaluated, runs_dir)
    damage(record.weights, foreign_weights)
    steps.clear()
    run_tiny(runs_dir, *OWN)
    assert steps == [8]
    assert_equal(record, unbroken)
    assert "weights.safetensors can't be used" in record.read()["salvaged"][0]


def test_a_table_that_was_lost_behind_training_is_written_again(unevaluated, unbroken, runs_dir, capsys) -> None:
    record = copied(unevaluated, runs_dir)
    empty(record.folder / "history.csv", record.folder)
    run_tiny(runs_dir, *OWN)
    assert_equal(record, unbroken)
    assert "training starts again" in record.read()["salvaged"][0]


@pytest.mark.parametrize("damage", [truncate, swap])
def test_spoilt_weights_of_a_finished_record_are_refused(
    damage: Callable, unbroken, foreign_weights, runs_dir, steps, capsys
) -> None:
    record = copied(unbroken, runs_dir)
    before = (record.folder / "record.json").read_bytes()
    damage(record.weights, foreign_weights)
    steps.clear()
    for use in (
        lambda: skiplab.load(record.folder),
        lambda: run_tiny(runs_dir, *OWN, "evaluator=[denoising_loss,baselines]"),
    ):
        with pytest.raises(SkiplabError, match=r"weights\.safetensors can't be used .* run\.rerun=true"):
            use()
    assert (record.folder / "record.json").read_bytes() == before
    assert not steps
    assert "Traceback" not in capsys.readouterr().err


def test_an_undamaged_trial_says_nothing(broken_off, unbroken, runs_dir, capsys) -> None:
    record = copied(broken_off, runs_dir)
    capsys.readouterr()
    run_tiny(runs_dir, *OWN)
    assert record.read()["salvaged"] == []
    assert "can't be used" not in capsys.readouterr().out
    assert not (runs_dir / "replaced").exists()
    assert_equal(record, unbroken)


@pytest.mark.parametrize("taken", [False, True], ids=["deleted", "and made anew"])
@pytest.mark.parametrize("where", [UpdateRatio, DenoisingLoss], ids=["training", "evaluation"])
def test_a_folder_that_is_deleted_under_a_trial_is_told_and_leaves_no_half_record(
    where: type, taken: bool, unbroken, tmp_path, monkeypatch, capsys
) -> None:
    method = "after_update" if where is UpdateRatio else "evaluate"
    work = getattr(where, method)

    def deleting(self, *arguments):
        for folder in tmp_path.glob("*/lock"):
            shutil.rmtree(folder.parent)
            if taken:
                folder.parent.mkdir()
                folder.touch()
        return work(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(where, method, deleting)
        with pytest.raises(SystemExit) as ended:
            main(["train", *TINY, *OWN, f"run.runs_dir={tmp_path}"])
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "was deleted or moved while its trial was running" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("record.json"))
    assert_equal(run_tiny(tmp_path, *OWN).record, unbroken)


def test_a_record_without_status_is_never_written(tmp_path) -> None:
    record = Record(tmp_path, "0123456789abcdef")
    record.folder.mkdir()
    with pytest.raises(SkiplabError, match=r"has no record\.json; train the trial first"):
        record.update(step=4)
    assert not list(record.folder.iterdir())
