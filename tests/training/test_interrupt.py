"""A signal ends a trial with a checkpoint and a word in its record; the same trial then resumes to equal weights."""

import os
import signal

import pytest

from skiplab.errors import Interrupted
from skiplab.records.record import Record
from skiplab.training.module import AblationModule

STEP = 3  # the signal comes while it runs; checkpoints lie behind steps 2, 4, 6


def send(monkeypatch, *signums: int, step: int = STEP) -> None:
    """This process gets signals, once, in the middle of a training step."""
    train = AblationModule.training_step
    left = list(signums)

    def training_step(module, batch, batch_index):
        loss = train(module, batch, batch_index)
        while left and module.global_step == step:
            os.kill(os.getpid(), left.pop(0))
        return loss

    monkeypatch.setattr(AblationModule, "training_step", training_step)


def only_record(runs_dir) -> Record:
    (folder,) = (path.parent for path in runs_dir.glob("*/record.json"))
    return Record(runs_dir, folder.name)


@pytest.fixture
def handlers():
    """Puts the process's handlers back, and checks that the trial did.

    A run in a shell's background, or under nohup, begins with some ignored, and a trial rightly leaves them so.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    before = {
        signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR2)
    }
    yield before
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_ends_the_step_and_the_trial_resumes_to_equal_weights(
    signum, run, tmp_path, monkeypatch, handlers
) -> None:
    unbroken = run(tmp_path / "unbroken")
    send(monkeypatch, signum)
    with pytest.raises(Interrupted) as stop:
        run(tmp_path / "broken")
    assert stop.value.signum == signum
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    record = only_record(tmp_path / "broken")
    assert record.read()["status"] == "interrupted"
    assert signum.name in record.read()["error"]
    assert [path for path in record.checkpoints.glob("*.ckpt") if path.name.startswith(f"step={STEP + 1}")]
    assert record.read()["provenance"]["wall_seconds"] > 0
    seen = []
    train = AblationModule.training_step
    monkeypatch.setattr(
        AblationModule,
        "training_step",
        lambda module, *rest: (seen.append(module.global_step), train(module, *rest))[1],
    )
    again = run(tmp_path / "broken")
    assert again.outcome.action == "resumed"
    assert again.outcome.status == "done"
    assert again.record.read()["error"] is None
    assert seen[0] == STEP + 1
    assert again.record.weights.read_bytes() == unbroken.record.weights.read_bytes()
    history = (again.record.folder / "history.csv").read_text()
    assert history == (unbroken.record.folder / "history.csv").read_text()
    assert len(list(again.record.checkpoints.iterdir())) == 1


def test_a_clusters_requeue_is_called_when_the_checkpoint_is_there(run, tmp_path, monkeypatch, handlers) -> None:
    called = []

    def requeue(signum, frame) -> None:
        record = only_record(tmp_path)
        called.append((signum, record.read()["status"], [path.name for path in record.checkpoints.iterdir()]))

    signal.signal(signal.SIGUSR2, requeue)
    send(monkeypatch, signal.SIGUSR2)
    with pytest.raises(Interrupted):
        run(tmp_path)
    ((signum, status, checkpoints),) = called
    assert signum == signal.SIGUSR2
    assert status == "interrupted"
    assert any(name.startswith(f"step={STEP + 1}") for name in checkpoints)


def test_a_requeue_that_is_cut_short_is_no_failure_of_the_trial(run, tmp_path, monkeypatch, handlers, capsys) -> None:
    def requeue(signum, frame) -> None:
        raise RuntimeError("scontrol was killed")

    signal.signal(signal.SIGUSR2, requeue)
    send(monkeypatch, signal.SIGUSR2)
    with pytest.raises(Interrupted):
        run(tmp_path)
    assert only_record(tmp_path).read()["status"] == "interrupted"
    assert "scontrol was killed" in capsys.readouterr().err


def test_a_sigterm_that_somebody_else_handles_stays_theirs(run, tmp_path, monkeypatch, handlers) -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda *arguments: heard.append(arguments))
    send(monkeypatch, signal.SIGTERM)
    monkeypatch.setattr(
        "pytorch_lightning.trainer.connectors.signal_connector._SignalConnector.register_signal_handlers",
        lambda self: None,
    )
    assert run(tmp_path).outcome.status == "done"
    assert len(heard) == 1


def test_a_second_interrupt_does_not_wait_for_the_step(run, tmp_path, monkeypatch, handlers) -> None:
    send(monkeypatch, signal.SIGINT, signal.SIGINT)
    with pytest.raises(Interrupted):
        run(tmp_path)
    record = only_record(tmp_path)
    assert record.read()["status"] == "interrupted"
    assert [path.name for path in record.checkpoints.iterdir()] == ["step=2.ckpt"]


def test_a_signal_in_the_last_step_leaves_the_evaluation_to_the_next_run(run, tmp_path, monkeypatch, handlers) -> None:
    send(monkeypatch, signal.SIGTERM, step=5)
    with pytest.raises(Interrupted):
        run(tmp_path, "trainer.max_steps=6")
    record = only_record(tmp_path)
    assert record.read()["status"] == "interrupted"
    assert record.weights.exists()
    assert run(tmp_path, "trainer.max_steps=6").outcome.status == "done"
    assert "loss_val" in record.read()["summary"]


def test_a_finished_record_stays_finished_when_a_later_measurement_is_stopped(
    run, tmp_path, monkeypatch, handlers
) -> None:
    from skiplab.training import measure as module

    first = run(tmp_path, "evaluator=[denoising_loss]")
    evaluate = module.evaluate

    def stopped(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments)

    monkeypatch.setattr(module, "evaluate", stopped)
    with pytest.raises(Interrupted):
        run(tmp_path, "evaluator=[denoising_loss,baselines]")
    assert first.record.read()["status"] == "done"
