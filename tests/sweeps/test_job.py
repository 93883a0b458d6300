"""What can't work is refused before a sweep starts, unless only the machine that it goes to can know."""

import pytest
import torch

from skiplab.errors import SkiplabError
from skiplab.records.key import trial_key
from skiplab.sweeps.job import Job, check, distinct_overrides
from tiny_trials import TINY, compose_config


def job(*overrides: str) -> Job:
    return Job(overrides, *compose_config(*TINY, *overrides))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_missing_here_may_be_elsewhere() -> None:
    jobs = [job("trainer=gpu")]
    with pytest.raises(SkiplabError, match=r"this machine has none.* .trial trainer=gpu; nothing was trained"):
        check(jobs, map, elsewhere=False)
    check(jobs, map, elsewhere=True)


def test_each_kind_of_trial_is_built_once() -> None:
    seen = []
    jobs = [job("seed=0"), job("seed=1"), job("connection=plain", "seed=0")]
    check(jobs, lambda function, items: seen.append(items) or [], elsewhere=False)
    assert seen == [[jobs[0], jobs[2]]]


@pytest.mark.parametrize("word", ["depth=4", "optimizer.weight_decay=${seed}", "optimizer.weight_decay=${seed}e-3"])
def test_a_trial_at_another_seed_has_the_key_and_kind_of_its_own_configuration(word: str) -> None:
    first = job(word, "seed=1")
    second = first.at_seed(2, [word, "seed=2"])
    third = second.at_seed(3, [word, "seed=3"])
    keys = [trial_key(compose_config(*TINY, word, f"seed={seed}").config) for seed in (1, 2, 3, 0)]
    assert [each.record.key for each in (first, second, third)] == keys[:3]
    assert {each.kind for each in (first, second, third)} == {keys[3]}


def test_a_seed_that_no_key_can_hold_is_refused_at_a_trial_of_another() -> None:
    with pytest.raises(SkiplabError, match="seed=9223372036854775808 is too large"):
        _ = job("seed=1").at_seed(2**63, []).record


def test_distinct_overrides_are_those_that_not_all_share() -> None:
    jobs = [job("depth=4", "seed=0"), job("depth=4", "seed=1")]
    assert list(distinct_overrides(jobs).values()) == ["seed=0", "seed=1"]
    assert distinct_overrides([]) == {}
