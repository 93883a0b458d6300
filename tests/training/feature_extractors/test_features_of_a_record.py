"""A classifier's record as feature extractor: its features give its own logits, and it is named beside each score."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import skiplab
from skiplab.errors import SkiplabError
from skiplab.records.record import Record as TrialRecord
from skiplab.training.build import build
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.feature_extractors.record import Record
from skiplab.training.plan import Plan
from tiny_trials import Trial, compose_config, run_tiny

CLASSIFIER = ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "depth=3", "instrument=[]")
SCORES = ("frechet_distance", "kernel_distance")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return run_tiny(tmp_path_factory.mktemp("classifier"), *CLASSIFIER, "evaluator=[classification]")


@pytest.fixture
def copy(classifier: Trial, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier.record.folder, tmp_path / "runs" / classifier.record.key))


def extractor(folder: Path) -> Record:
    return Record(path=str(folder))


@pytest.mark.parametrize("backbone", ["resnet", "isotropic"])
def test_its_features_are_what_the_last_layer_maps_to_the_logits(backbone: str, classifier: Trial, tmp_path) -> None:
    if backbone != "resnet":
        words = (f"backbone={backbone}", "evaluator=[classification]")
        classifier = run_tiny(tmp_path, *CLASSIFIER, *words)
    made, trial = extractor(classifier.record.folder), skiplab.load(classifier.record.folder)
    images = trial.data.val.first(5).images
    weight, bias = (trial.model.state_dict()[f"head.{name}"] for name in ("3.weight", "3.bias"))
    with torch.no_grad():
        features, logits = made(images), trial.model(images)
    assert features.shape == (5, weight.shape[1])
    assert torch.equal(torch.nn.functional.linear(features, weight, bias), logits)
    assert torch.equal(made(images[:2]), features[:2]) or torch.allclose(made(images[:2]), features[:2], atol=1e-6)


def test_a_score_states_the_record_its_data_and_its_accuracy(classifier: Trial, tmp_path: Path) -> None:
    words = ("feature_extractor=record", f"feature_extractor.path={classifier.record.folder}")
    trial = run_tiny(tmp_path, f"evaluator=[{','.join(SCORES)}]", *words)
    content, known = trial.record.read(), classifier.record.read()
    for name in SCORES:
        stated = content["details"][name]
        assert stated["extractor_record"] == classifier.record.key
        assert stated["extractor_data"] == "digits"
        assert stated["extractor_accuracy"] == known["summary"]["accuracy_val"]
        assert stated["extractor_num_held_out"] == 360
        assert stated["extractor_sha256"] == known["trained"]["weights"]
        assert name in content["summary"]


def test_a_finished_record_is_scored_by_one_command(classifier: Trial, finished: Trial, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.record.folder, tmp_path / finished.record.key))
    words = ["feature_extractor=record", f"feature_extractor.path={classifier.record.folder}"]
    evaluate_record(folder, ["evaluator=[frechet_distance]", *words], None)
    content = json.loads((folder / "record.json").read_text())
    assert content["details"]["frechet_distance"]["extractor_record"] == classifier.record.key


def test_evaluating_the_classifier_again_makes_no_score_stale(copy: Path, tmp_path: Path) -> None:
    words = ("evaluator=[frechet_distance]", "feature_extractor=record", f"feature_extractor.path={copy}")

    def planned():
        return Plan.of(compose_config(*words).config, tmp_path).evaluators

    before = planned()
    evaluate_record(copy, ["evaluator=[per_class]"], None)
    assert planned() == before
    (copy / "weights.safetensors").write_bytes(b"others")
    assert planned() != before


def refused(folder: Path | str) -> str:
    with pytest.raises(SkiplabError) as raised:
        Record(path=str(folder))
    assert str(folder) in str(raised.value)
    return str(raised.value)


def test_refuses_what_is_no_record(tmp_path: Path) -> None:
    assert "is no record; give the folder of a finished classifier, runs/KEY" in refused(tmp_path)
    assert "is no record" in refused(tmp_path / "missing")
    with pytest.raises(SkiplabError, match=r"feature_extractor.path=null is no record"):
        Record(path=None)


def test_refuses_a_denoiser(finished: Trial) -> None:
    assert "is no classifier, its objective is Denoising; give the folder of a trial" in refused(finished.record.folder)


@pytest.mark.parametrize(
    ("status", "words"),
    [("interrupted", "isn't finished, its status is interrupted"), ("diverged", "diverged, so it has no weights")],
)
def test_refuses_a_trial_that_isnt_done(copy: Path, status, words: str) -> None:
    TrialRecord(copy.parent, copy.name).update(status=status)
    assert words in refused(copy)


def test_refuses_a_record_without_weights(copy: Path) -> None:
    (copy / "weights.safetensors").unlink()
    assert "has no weights.safetensors, which every trial writes that is done" in refused(copy)


def test_refuses_a_classifier_whose_accuracy_is_unknown_and_says_how_to_measure_it(copy: Path) -> None:
    record = TrialRecord(copy.parent, copy.name)
    record.update(summary={}, evaluators={})
    message = refused(copy)
    assert f"skiplab evaluate {copy} evaluator=[classification]" in message
    evaluate_record(copy, ["evaluator=[classification]"], None)
    assert extractor(copy).facts()["extractor_accuracy"] == record.read()["summary"]["accuracy_val"]


def test_refuses_images_of_another_shape_before_training(classifier: Trial) -> None:
    words = ("evaluator=[frechet_distance]", "data=shapes", "feature_extractor=record")
    config = compose_config(*words, f"feature_extractor.path={classifier.record.folder}").config
    with pytest.raises(SkiplabError, match=r"takes images of shape \(1, 8, 8\), but the data's shape is \(3, 16, 16\)"):
        build(config)


def test_refuses_a_classifier_that_ends_in_another_layer(tmp_path: Path, monkeypatch) -> None:
    trial = run_tiny(tmp_path, *CLASSIFIER, "evaluator=[classification]", "seed=3")
    loaded = skiplab.load(trial.record.folder)
    ends = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Unflatten(1, (64, 1)), torch.nn.Conv1d(64, 10, 1))
    ends.append(torch.nn.Flatten())
    monkeypatch.setattr("skiplab.training.feature_extractors.record.load", lambda _: loaded._replace(model=ends.eval()))
    assert "has no features: its last layer 2 is a Conv1d, not a linear map to 10 logits" in refused(
        trial.record.folder
    )


def test_its_configuration_names_the_folder_that_a_record_keeps(classifier: Trial, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(classifier.record.folder.parent)
    words = ("evaluator=[frechet_distance]", "feature_extractor=record", "trainer.max_steps=2")
    trial = run_tiny(tmp_path, *words, f"feature_extractor.path={classifier.record.key}")
    kept = OmegaConf.load(trial.record.folder / "config.yaml")
    assert kept.feature_extractor.path == str(classifier.record.folder)
