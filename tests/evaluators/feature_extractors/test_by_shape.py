"""The extractor that data get without a word: the digits classifier for what it takes, raw for all else."""

import pytest

from skiplab.evaluators.feature_extractors.by_shape import ByShape
from skiplab.evaluators.feature_extractors.digits_classifier import DigitsClassifier
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.evaluators.feature_extractors.raw import Raw
from skiplab.training.build import build, build_data
from skiplab.training.factory import factory
from tiny_trials import compose_config, run_tiny


@pytest.mark.parametrize(
    ("shape", "expected"), [((1, 8, 8), DigitsClassifier), ((3, 8, 8), Raw), ((1, 28, 28), Raw), ((64,), Raw)]
)
def test_the_shape_decides(shape: tuple[int, ...], expected: type) -> None:
    made = ByShape().for_shape(shape)
    assert type(made) is expected
    made.check(shape)
    assert made.facts() == expected().facts()


def test_an_extractor_that_was_asked_for_stays(compose) -> None:
    data = build_data(compose("data=digits").config)
    assert (
        type(
            factory(compose("feature_extractor=raw").config.feature_extractor, FeatureExtractor)().for_shape(
                data.train.shape
            )
        )
        is Raw
    )


@pytest.mark.parametrize("data", ["digits", "patches"])
def test_bundled_data_need_no_word_about_it(data: str) -> None:
    build(compose_config(f"data={data}").config)


def test_what_is_measured_of_digits_is_what_the_classifier_measures(tmp_path) -> None:
    words = ("evaluator=[frechet_distance,kernel_distance]", "trainer.max_steps=2")
    trials = [
        run_tiny(tmp_path / name, *words, f"feature_extractor={name}") for name in ("by_shape", "digits_classifier")
    ]
    ours, theirs = (trial.record.read() for trial in trials)
    assert ours["summary"] == theirs["summary"]
    assert ours["details"] == theirs["details"]
    assert ours["details"]["frechet_distance"]["extractor"] == "DigitsClassifier"
