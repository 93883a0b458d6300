"""An average of the weights is what its equation says, is judged and saved, and changes neither training nor keys."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

import skiplab
from hostile_records import change_record, forget_hashes
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.records.key import factors, trial_key
from skiplab.training import fit
from skiplab.training import trial as trials
from skiplab.training.build import build
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.measure import _trained
from skiplab.training.weight_average import WeightAverage
from skiplab.training.weight_averages.ema import EMA
from tiny_trials import TINY, Composed, Trial, compose_config, run_composed

NUM_STEPS = 6
AVERAGED = ("weight_average=ema", "weight_average.decay=0.75")
NORM_FREE = tuple(word for word in TINY if not word.startswith("norm."))
BATCH_NORM = ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "norm=batch", "depth=3")
CLASSIFIER = (*BATCH_NORM, "evaluator=[classification]", "instrument=[]")


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return run(tmp_path_factory.mktemp("averaged"), *AVERAGED)


def tiny(*words: str) -> Composed:
    return compose_config(*(NORM_FREE if "norm=batch" in words else TINY), *words)


def run(runs_dir: Path, *words: str) -> Trial:
    return run_composed(tiny(*words), runs_dir)


def weights_of(trial: Trial) -> dict[str, torch.Tensor]:
    return load_file(trial.record.weights)


@pytest.fixture(scope="module")
def steps_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], list[dict[str, torch.Tensor]]]:
    """The weights after 0, 1, 2, ... steps: of trials of so many, without an average."""

    @cache
    def steps(words: tuple[str, ...]) -> list[dict[str, torch.Tensor]]:
        runs_dir = tmp_path_factory.mktemp("steps")
        start = {name: value.clone() for name, value in build(tiny(*words).config).model.state_dict().items()}
        trials = [
            run(runs_dir, *words, f"trainer.max_steps={step}", "evaluator=[]", "instrument=[]")
            for step in range(1, NUM_STEPS + 1)
        ]
        return [start, *map(weights_of, trials)]

    return steps


def by_hand(steps: list[dict[str, torch.Tensor]], shares: list[float]) -> dict[str, torch.Tensor]:
    """The average in float64."""
    start, *behind = steps
    average = {name: value.double() for name, value in start.items()}
    for current, share in zip(behind, shares, strict=True):
        for name, value in current.items():
            counts = not value.is_floating_point()
            average[name] = value.double() if counts else (1 - share) * average[name] + share * value.double()
    return average


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("words", [(), CLASSIFIER], ids=["group norm", "batch norm"])
def test_it_is_the_average_of_its_equation_buffers_included(words, warmup: bool, steps_of, tmp_path: Path) -> None:
    trial = run(tmp_path, *words, *AVERAGED, f"weight_average.warmup={warmup}")
    warm = [1 - min(0.75, (1 + step) / (10 + step)) for step in range(1, NUM_STEPS + 1)]
    expected = by_hand(steps_of(words), warm if warmup else [0.25] * NUM_STEPS)
    found = weights_of(trial)
    assert found.keys() == expected.keys()
    assert any(name.endswith("running_var") for name in found) == bool(words)
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-7, msg=name)
    counts = [value for name, value in found.items() if name.endswith("num_batches_tracked")]
    assert all(int(count) == NUM_STEPS for count in counts)


def test_what_never_moves_stays_exactly_what_it_is() -> None:
    average = EMA(decay=0.9, warmup=False)
    constant = torch.full((1000,), 0.1)
    for step in range(1, 50):
        torch._foreach_lerp_([constant], [torch.full((1000,), 0.1)], average.share(step))
    assert torch.equal(constant, torch.full((1000,), 0.1))


def test_training_doesnt_see_it(averaged: Trial, tmp_path: Path) -> None:
    plain = run(tmp_path)
    one, other = (pd.read_csv(trial.record.folder / "history.csv") for trial in (averaged, plain))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert averaged.record.read()["summary"]["loss_area"] == plain.record.read()["summary"]["loss_area"]
    assert any(not torch.equal(value, weights_of(plain)[name]) for name, value in weights_of(averaged).items())


def test_it_is_what_evaluators_judge(averaged: Trial, tmp_path: Path) -> None:
    """The record's numbers are those of the saved average, measured anew after loading it."""
    folder = Path(shutil.copytree(averaged.record.folder, tmp_path / averaged.record.key))
    before = json.loads((folder / "record.json").read_text())
    loaded = skiplab.load(folder)
    assert all(torch.equal(value, weights_of(averaged)[name]) for name, value in loaded.model.state_dict().items())
    change_record(folder, evaluators={}, summary={})
    evaluate_record(folder, ["evaluator=[denoising_loss]"], None)
    again = json.loads((folder / "record.json").read_text())["summary"]
    assert again == {name: before["summary"][name] for name in again}


def test_scores_state_which_weights_they_judge(averaged: Trial, tmp_path: Path) -> None:
    assert _trained(build(tiny(*AVERAGED).config)).weights == "average"
    words = ("evaluator=[frechet_distance]", "feature_extractor=raw")
    stated = [
        run(tmp_path, *words, *more).record.read()["details"]["frechet_distance"]["weights"] for more in ((), AVERAGED)
    ]
    assert stated == ["last", "average"]


@pytest.fixture(scope="module", params=[(), CLASSIFIER[:-1]], ids=["denoising", "batch norm"])
def unbroken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trial, tuple[str, ...]]:
    """A trial with an average, and the words that it was made of."""
    words = (*request.param, *AVERAGED, "instrument=[update_ratio]", "instrument.update_ratio.every_n_steps=1")
    return run(tmp_path_factory.mktemp("unbroken"), *words), words


@pytest.mark.parametrize("broken_at", [1, 2, 3, NUM_STEPS - 1])
def test_a_resumed_trial_has_the_same_average(broken_at: int, unbroken, tmp_path, monkeypatch, capsys) -> None:
    whole, words = unbroken
    after_update, calls = UpdateRatio.after_update, []

    def breaking(self):
        calls.append(None)
        if len(calls) == broken_at + 1:
            raise RuntimeError("the power went")
        return after_update(self)

    monkeypatch.setattr(UpdateRatio, "after_update", breaking)
    with pytest.raises(SkiplabError, match="the power went"):
        run(tmp_path, *words)
    trial = run(tmp_path, *words)
    assert trial.outcome.action == "resumed"
    assert len(calls) <= NUM_STEPS + 2
    assert trial.record.weights.read_bytes() == whole.record.weights.read_bytes()
    assert trial.record.read()["summary"] == whole.record.read()["summary"]


def test_broken_after_the_average_was_saved(averaged: Trial, tmp_path, monkeypatch, capsys) -> None:
    def breaking(*arguments, **keywords):
        fit.fit(*arguments, **keywords)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(trials, "fit", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run(tmp_path, *AVERAGED)
    content = run(tmp_path, *AVERAGED).record.read()
    assert (content["status"], content["step"]) == ("done", NUM_STEPS)
    assert content["summary"] == averaged.record.read()["summary"]


def test_the_last_weights_decide_whether_a_trial_diverged(tmp_path: Path) -> None:
    words = ("trainer.max_steps=1", "optimizer.lr=1e15", "weight_average=ema", "weight_average.decay=0.999999")
    trial = run(tmp_path, *words, "weight_average.warmup=false")
    assert trial.outcome.status == "diverged"
    assert not trial.record.weights.exists()


def test_ranks_save_the_average_of_a_single_process(averaged: Trial, tmp_path: Path) -> None:
    trial = run(tmp_path, *AVERAGED, "trainer=ddp", "trainer.devices=1", "evaluator=[]")
    assert all(torch.equal(value, weights_of(averaged)[name]) for name, value in weights_of(trial).items())


def test_without_one_the_key_and_the_factors_are_those_of_a_trial_that_lacks_the_axis() -> None:
    config = compose_config().config
    key, flat = trial_key(config), factors(config)
    del config["weight_average"]
    assert (trial_key(config), factors(config)) == (key, flat)
    others = [compose_config("weight_average=ema", *more).config for more in ((), ("weight_average.decay=0.9",))]
    assert len({key, *map(trial_key, others)}) == 3
    assert factors(others[0])["weight_average.decay"] == 0.999


def test_a_record_that_lacks_the_axis_is_loaded_and_compared_as_one_without_average(finished: Trial, tmp_path) -> None:
    folder = Path(shutil.copytree(finished.record.folder, tmp_path / finished.record.key))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["weight_average"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    forget_hashes(folder)
    skiplab.load(folder)
    run(tmp_path / "runs", "run.study=mixed", "seed=1", "evaluator=[]")
    older = run(tmp_path / "runs", "run.study=mixed", "seed=2", "evaluator=[]").record
    choices = {axis: option for axis, option in older.read()["choices"].items() if axis != "weight_average"}
    change_record(older.folder, choices=choices)
    assert "weight_average" not in read_study("mixed", tmp_path / "runs").factors


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_a_decay_out_of_range_is_refused_before_training(decay: float) -> None:
    with pytest.raises(SkiplabError, match=rf"weight_average.decay={decay} is invalid; valid: a number above 0"):
        build(compose_config("weight_average=ema", f"weight_average.decay={decay}").config)


def test_an_option_must_say_its_share() -> None:
    with pytest.raises(NotImplementedError, match=r"WeightAverage must define share\(step\)"):
        WeightAverage().share(1)
