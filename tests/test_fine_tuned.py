"""`skiplab ablate --train-on`: a checkpoint is trained on with its shortcuts and without, and a verdict is printed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoint_files import write_checkpoints
from command_line import run_command

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
CHECKPOINT = """
def made():
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block()), batch(0), lambda model: loss(model, 0), batch_loss

def batch(seed):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))

def loss(model, seed):
    x = batch(seed)
    return (model(x) - x).square().mean()

def batch_loss(model, seed):
    with open("seeds.txt", "a") as file:
        print(seed, file=file)
    return loss(model, seed)

def no_batches():
    return made()[:3]
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch):
    return write_checkpoints(tmp_path, monkeypatch, "checkpoint_to_train_on", CHECKPOINT)


def trained_on(*words: str, model: str = "made"):
    return run_command(["ablate", f"checkpoint_to_train_on:{model}", "--to", "out", "--train-on", *words])


def test_arms_begin_at_the_checkpoint_and_share_batches(workplace: Path) -> None:
    from checkpoint_to_train_on import made

    from skiplab import ablate, find_shortcuts, read_study

    ended = trained_on("3", "--lr", "0.01", "--seeds", "0,1", "--connection", "plain")
    assert ended.code == 0, ended.text
    assert "identity over plain: " in ended.text
    told = read_study("trained_on", workplace / "out" / "runs").trials.set_index(["module.connection", "seed"])["loss"]
    assert "cells" not in ended.text
    assert "at seed" not in ended.text  # seeds are pairs, not cells
    assert len(told) == 4
    drawn = np.loadtxt(workplace / "seeds.txt", dtype=int).reshape(2, 2, 3)  # seed, arm, step
    assert len(np.unique(drawn[:, 0])) == 6
    assert (drawn[:, 0] == drawn[:, 1]).all()
    for (connection, seed), value in told.items():
        model, inputs, loss, batch_loss = made()
        ablate(model, connection, find_shortcuts(model, inputs))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(3):
            optimizer.zero_grad()
            batch_loss(model, int(drawn[seed, 0, step])).backward()
            optimizer.step()
        assert value == pytest.approx(loss(model).item(), rel=1e-5)


def test_more_seeds_keep_what_is_trained(workplace: Path) -> None:
    assert "[2/2] connection=plain seed=0: trained, done." in trained_on("2", "--seeds", "0").text
    text = trained_on("2", "--seeds", "0,1").text
    assert "connection=plain seed=0: trained" not in text
    assert "connection=plain seed=1: trained, done." in text


def test_another_learning_rate_is_another_cell(workplace: Path) -> None:
    trained_on("2", "--lr", "0.01", "--seeds", "0")
    ended = trained_on("2", "--lr", "0.1", "--seeds", "0")
    assert ended.code == 0, ended.text
    assert "identity over plain: " in ended.text
    assert "skiplab decide" not in ended.text  # which can't train it


@pytest.mark.parametrize(
    ("words", "model", "message"),
    [
        (
            ["2"],
            "no_batches",
            "checkpoint_to_train_on.no_batches returns 3 values, and to be trained on it must return",
        ),
        (["0"], "made", "steps=0 and lr=0.001 are invalid; valid: steps from 1, and a learning rate above 0"),
        (["2", "--lr", "0"], "made", "steps=2 and lr=0 are invalid"),
        (["2", "--connection", "identity"], "made", "connection=identity keeps the shortcuts, as the other arm does"),
        (["2", "--connection", "odd"], "made", "(trial connection=odd seed=0; nothing was trained)"),
        (["2", "--weights", "w.pt"], "made", "--train-on is for module:function without --weights"),
    ],
)
def test_refuses_what_it_cannot_train_on(workplace: Path, words: list[str], model: str, message: str) -> None:
    ended = trained_on(*words, model=model)
    assert ended.code == 1
    assert message in ended.text
    assert not list((workplace / "out").glob("runs/*/record.json"))


@pytest.mark.parametrize("words", [["0"], ["2", "--lr", "0"], ["2", "--connection", "identity"]])
def test_invalid_settings_are_refused_before_anything_is_measured(workplace: Path, words: list[str]) -> None:
    assert trained_on(*words).code == 1
    assert not (workplace / "out").exists()


def test_settings_of_training_alone_are_refused(workplace: Path) -> None:
    ended = run_command(["ablate", "checkpoint_to_train_on:made", "--to", "out", "--lr", "0.1"])
    assert ended.code == 1
    assert "--lr is for training; give --train-on STEPS too" in ended.text
    assert not (workplace / "out").exists()
