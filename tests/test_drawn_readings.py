"""Figures of files of readings."""

from pathlib import Path

import pytest
import torch
from torch import nn

import skiplab
from command_line import run_command
from skiplab.analysis.study.watched_study import FACTOR, watched_study
from skiplab.drawn_readings import _charts
from skiplab.errors import SkiplabError
from skiplab.instruments.own_loop.readings_file import read_readings


def write(path: Path, *, seed: int = 0, instruments=("gradient_flow",)) -> Path:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skiplab.watch(model, instruments, every=1, to=path, blocks="*") as watch:
        for _ in range(3):
            loss = model(torch.randn(4, 2)).square().mean()
            loss.backward()
            optimizer.step()
            watch.step(loss)
    return path


def test_arms_and_seeds_from_the_command_line(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(2):
        write(tmp_path / f"a{seed}.csv", seed=seed)
    write(tmp_path / "b.csv", seed=2)
    printed = run_command(["readings", "plain=a0.csv,a1.csv", "b.csv", "--format", "svg"])
    names = {"training_loss", "weight_gradient_norm", "activation_gradient_norm", "block_gradient_norm"}
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} == names
    text = (tmp_path / "figures" / "weight_gradient_norm.svg").read_text()
    assert "plain" in text
    assert "written: figures/weight_gradient_norm.svg" in str(printed)
    assert "A band runs from the lowest seed to the highest." in (tmp_path / "figures" / "figures.md").read_text()


def test_the_study_of_a_file_holds_its_numbers(tmp_path) -> None:
    readings = read_readings(write(tmp_path / "a.csv"))
    study = watched_study({"a": [readings.layers]}, {"a": [readings.losses]}, _charts())
    assert study.layers["value"].tolist() == readings.layers["value"].tolist()
    assert study.history["value"].tolist() == readings.losses.tolist()
    assert study.trials[FACTOR].tolist() == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no .*a.csv; give a file that skiplab.watch"),
        ("step,loss\n0,1\n", "holds no readings: its header is 'step,loss'"),
        ("step,index,path,quantity,value\n", "there is no quantity to draw"),
    ],
)
def test_refusals(content, message, tmp_path) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SkiplabError, match=message):
        skiplab.draw_readings(path, to=tmp_path)


def test_files_of_one_name_need_names(tmp_path) -> None:
    with pytest.raises(SkiplabError, match="two files have one name; give a mapping"):
        skiplab.draw_readings(["x/readings.csv", "y/readings.csv"], to=tmp_path)
    with pytest.raises(SkiplabError, match="unknown format 'gif'; valid: pdf, svg, png"):
        skiplab.draw_readings(write(tmp_path / "a.csv"), to=tmp_path, formats=["gif"])
