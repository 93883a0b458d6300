"""Cross-entropy, accuracy and skill of a classifier equal a slow loop over images; other evaluators refuse it."""

import math

import pytest
import torch

import skiplab
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.evaluators.classification import Classification
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
        for index in range(len(split)):
            image, label = split.at(slice(index, index + 1))
            with torch.no_grad():
                (scores,) = model(image).double().tolist()
            loss += math.log(sum(map(math.exp, scores))) - scores[int(label)]
            right += max(range(10), key=lambda k: scores[k]) == int(label)
        assert summary[f"loss_{name}"] == pytest.approx(loss / len(split), rel=1e-5)
        assert summary[f"accuracy_{name}"] == right / len(split)
        assert summary[f"skill_{name}"] == pytest.approx(max(0.0, 1 - loss / len(split) / math.log(10)), abs=1e-5)
    assert summary["accuracy_val"] > 0.2, "thirty steps teach more than chance"


def test_batches_do_not_matter(trial) -> None:
    from skiplab.evaluators.evaluator import Trained

    parts = skiplab.load(trial.record.folder)
    trained = Trained(
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
    few, many = (Classification(batch_size=size).evaluate(trained).summary for size in (7, 1000))
    assert few == pytest.approx(many, rel=1e-6)
    with pytest.raises(SkiplabError, match="batch_size=0 is invalid"):
        Classification(batch_size=0)


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
