"""Cross-entropy, accuracy and skill of a classifier equal a slow loop over images; other evaluators refuse it."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import skiplab
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.evaluators.calibration import Calibration
from skiplab.evaluators.classification import Classification, predictions
from skiplab.evaluators.evaluator import Result, Trained
from skiplab.evaluators.per_class import PerClass
from skiplab.training.evaluate_record import evaluate_record
from tiny_trials import TINY, compose_config, run_composed

CLASSES = ("objective=cross_entropy", "backbone=isotropic", "long_skip=none", "evaluator=[classification]")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    overrides = [part for part in TINY if not part.startswith("evaluator")]
    composed = compose_config(*overrides, *CLASSES, "trainer.max_steps=30", "optimizer.lr=1e-2")
    return run_composed(composed, tmp_path_factory.mktemp("classes"))


def test_equals_a_slow_loop(trial) -> None:
    summary = trial.record.read()["summary"]
    data, _, model, _ = skiplab.load(trial.record.folder)
    for name, split in (("train", data.train), ("val", data.val)):
        loss, right = 0.0, 0
        images, labels = split.at(slice(0, len(split)))
        with torch.no_grad():
            outputs = model(images).double().tolist()
        for scores, label in zip(outputs, labels.tolist(), strict=True):
            loss += math.log(sum(map(math.exp, scores))) - scores[label]
            right += max(range(10), key=lambda k: scores[k]) == label
        assert summary[f"loss_{name}"] == pytest.approx(loss / len(split), rel=1e-5)
        assert summary[f"accuracy_{name}"] == right / len(split)
        assert summary[f"skill_{name}"] == pytest.approx(max(0.0, 1 - loss / len(split) / math.log(10)), abs=1e-5)
    assert summary["accuracy_val"] > 0.2, "thirty steps teach more than chance"


@pytest.fixture
def trained(trial) -> Trained:
    parts = skiplab.load(trial.record.folder)
    return Trained(
        model=parts.model,
        make_untrained=None,
        objective=parts.objective,
        data=parts.data,
        sampler=None,
        make_extractor=None,
        eval_batch=None,
        seed=0,
        device=torch.device("cpu"),
    )


def evaluated(trained: Trained, **changed) -> Result:
    return Classification(**{"batch_size": 100, "num_train": None, "num_val": None} | changed).evaluate(trained)


def test_batches_do_not_matter(trained) -> None:
    few, many = (evaluated(trained, batch_size=size).summary for size in (7, 1000))
    assert few == pytest.approx(many, rel=1e-6)


def test_a_part_is_a_random_one_the_same_in_every_trial_and_stated(trained) -> None:
    seen = []

    def seeing(images: Tensor) -> Tensor:
        seen.append(images)
        return trained.model(images)

    result = evaluated(replace(trained, model=seeing), num_train=150, num_val=40)
    assert result.details == {"num_train": 150, "num_val": 40}
    train, val = torch.cat(seen)[:150], torch.cat(seen)[150:]
    for images, split, name in ((train, trained.data.train, "train"), (val, trained.data.val, "val")):
        every, labels = split.at(slice(None))
        places = [int((every == image).flatten(1).all(dim=1).nonzero()[0]) for image in images]
        assert len(set(places)) == len(places), "no image twice"
        assert max(places) > len(split) / 2, "not the first ones"
        with torch.no_grad():
            logits = trained.model(images).double()
        assert result.summary[f"accuracy_{name}"] == (logits.argmax(dim=1) == labels[places]).double().mean().item()
        expected = torch.nn.functional.cross_entropy(logits, labels[places]).item()
        assert result.summary[f"loss_{name}"] == pytest.approx(expected, rel=1e-6)
    assert evaluated(replace(trained, seed=5), num_train=150, num_val=40).summary == result.summary


def test_more_images_than_there_are_is_all_of_them(trained) -> None:
    whole, more = evaluated(trained), evaluated(trained, num_train=10**6, num_val=10**6)
    assert more.summary == whole.summary
    assert more.details == whole.details == {"num_train": 1437, "num_val": 360}


def test_other_evaluators_of_a_part_judge_the_same_images(trained) -> None:
    per_class = PerClass(batch_size=7, num_val=40).evaluate(trained)
    calibration = Calibration(num_bins=10, batch_size=7, num_val=40).evaluate(trained)
    assert per_class.details["num_images"] == calibration.details["num_images"] == 40
    _, labels = predictions(trained, "val", 100, 40)
    counts = labels.bincount().tolist()
    errors = {each.x: each.value for each in per_class.measurements}
    wrong = sum(errors[label] * count for label, count in enumerate(counts) if count)
    assert 1 - wrong / 40 == pytest.approx(evaluated(trained, num_val=40).summary["accuracy_val"])


def test_the_record_says_how_many_images_and_a_later_evaluation_replaces_them(trial, tmp_path) -> None:
    folder = Path(shutil.copytree(trial.record.folder, tmp_path / trial.record.key))
    whole = json.loads((folder / "record.json").read_text())
    evaluate_record(folder, ["evaluator=[classification]", "evaluator.classification.num_val=40"], None)
    part = json.loads((folder / "record.json").read_text())
    assert part["key"] == whole["key"]
    stated = [content["details"]["classification"] for content in (whole, part)]
    assert stated == [{"num_train": 1437, "num_val": 360}, {"num_train": 1437, "num_val": 40}]
    assert part["summary"]["accuracy_train"] == whole["summary"]["accuracy_train"]


@pytest.mark.parametrize("name", ["batch_size", "num_train", "num_val"])
def test_refuses_no_images(name: str, trained) -> None:
    with pytest.raises(SkiplabError, match=f"classification.{name}=0 is invalid; valid: a whole number from 1"):
        evaluated(trained, **{name: 0})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((*CLASSES[:3], "evaluator=[denoising_loss]"), r"evaluator=denoising_loss measures Denoising networks"),
        ((CLASSES[3],), r"evaluator=classification measures CrossEntropy networks, but the objective is Denoising"),
    ],
)
def test_evaluators_of_another_objective_are_refused(overrides, message: str, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", *overrides, f"run.runs_dir={tmp_path}"])
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
