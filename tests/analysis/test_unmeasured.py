"""Metrics that claims ask for and nothing has measured: a mistake, or something to add."""

import pytest
from example_claims import CLAIMS
from hydra.utils import get_object
from omegaconf import OmegaConf

from option_files import CONF, options
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.unmeasured import declared_metrics
from skiplab.analysis.claims.verdict_text import cell_line
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError


def asked_for(runs, claims_file, metric):
    return judge(read_study("s", runs.folder), read_claims(claims_file(CLAIMS.replace("skill_train", metric))))


def test_what_the_sources_declare_is_what_the_classes_declare():
    found = set()
    for axis in ("evaluator", "instrument"):
        for option in options(axis):
            node = OmegaConf.load(CONF / axis / f"{option}.yaml")
            found |= set(get_object(node._target_).metrics)
    assert set(declared_metrics()) == found


def test_a_metric_that_nothing_measures_is_an_error_with_the_nearest_names(fill, claims_file):
    runs = fill(effect=0.15, num_seeds=3)
    with pytest.raises(SkiplabError, match=r"'skil_train', which nothing measures; .*did you mean skill_train"):
        asked_for(runs, claims_file, "skil_train")


def test_a_metric_of_an_option_that_was_not_on_is_not_run_and_says_what_to_add(fill, claims_file):
    (verdict,) = asked_for(fill(effect=0.15, num_seeds=3), claims_file, "lesion_ratio")
    assert verdict.conclusion == "not run"
    assert "lesion_ratio was not measured; evaluator=[lesion] measures it" in cell_line(verdict.cells[0].parts[0]).notes


@pytest.mark.parametrize(
    ("objective", "by"),
    [
        ("denoising", "evaluator=[denoising_loss]"),
        ("cross_entropy", "evaluator=[classification]"),
        ("of_ones_own", "evaluator=[classification] or evaluator=[denoising_loss]"),
    ],
)
def test_what_to_add_measures_the_studys_own_networks(runs, claims_file, objective, by):
    for arm in ("plain", "identity"):
        runs.trial(
            choices={"connection": arm, "long_skip": "none", "objective": objective}, summary={"frechet_distance": 1.0}
        )
    (verdict,) = asked_for(runs, claims_file, "skill_train")
    assert f"skill_train was not measured; {by} measures it" in cell_line(verdict.cells[0].parts[0]).notes


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", "diverged"])
def test_what_an_evaluator_of_ones_own_measures_is_known_when_a_trial_is_done(runs, claims_file, status):
    runs.trial(choices={"long_skip": "none"}, status=status)
    runs.trial(choices={"long_skip": "concat"}, factors={"depth": 8}, status=status)
    assert asked_for(runs, claims_file, "my_own")[0].conclusion == "not run"
    runs.trial(seed=1, choices={"long_skip": "none"}, summary={"skill_train": 0.5})
    with pytest.raises(SkiplabError, match="'my_own'"):
        asked_for(runs, claims_file, "my_own")
