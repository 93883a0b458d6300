"""What can't work is refused before a sweep starts, unless only the machine that it goes to can know."""

import pytest
import torch

from skiplab.errors import SkiplabError
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


def test_distinct_overrides_are_those_that_not_all_share() -> None:
    jobs = [job("depth=4", "seed=0"), job("depth=4", "seed=1")]
    assert list(distinct_overrides(jobs).values()) == ["seed=0", "seed=1"]
    assert distinct_overrides([]) == {}
