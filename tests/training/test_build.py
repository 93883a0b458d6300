"""All that is wrong with a configuration is told at once, each thing once."""

from pathlib import Path

import pytest

from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.training.build import build
from tiny_trials import TINY, compose_config


def complaint(*overrides: str) -> str:
    with pytest.raises(SkiplabError) as caught:
        build(compose_config(*TINY, *overrides).config)
    return str(caught.value)


def test_five_mistakes_are_named_at_once(tmp_path: Path, capsys) -> None:
    wrong = ["data.num_val=0", "noise_schedule.time_max=1.5", "optimizer.lr=-1", "eval_batch.num_levels=0", "width=0"]
    with pytest.raises(SystemExit):
        main(["train", *TINY, *wrong, f"run.runs_dir={tmp_path / 'runs'}"])
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "skiplab: 5 settings are invalid:"
    assert len(lines) == 5
    for word in ("data.num_val=0", "time_max=1.5", "optimizer.lr=-1", "num_levels=0", "width=0"):
        assert sum(word in line for line in lines) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("batch_size=2000", "norm.num_groups=3", "optimizer.lr=-1"), ("batch_size=2000", "num_groups=3", "lr=-1")),
        (("trainer.precision=12-true", "run.rerun=perhaps"), ("precision=12-true", "run.rerun=perhaps")),
        (("instrument.gradient_flow.every_n_steps=0", "frozen_fraction=1"), ("every_n_steps=0", "frozen_fraction=1")),
        (
            ("evaluator=[kernel_distance,bayes_floor,frechet_distance]", "num_samples=1"),
            ("evaluator.kernel_distance", "evaluator.frechet_distance.num_samples=1", "bayes_floor"),
        ),
        (("seed=-1", "sampler.num_steps=0", "run.study=a/b"), ("seed=-1", "num_steps=0", "a/b")),
    ],
)
def test_mistakes_of_all_parts_are_gathered(wrong: tuple[str, ...], named: tuple[str, ...]) -> None:
    first, *lines = complaint(*wrong).splitlines()
    assert first == f"{len(named)} settings are invalid:"
    assert len(lines) == len(named)
    for word in named:
        assert any(word in line for line in lines), lines


def test_a_single_mistake_is_one_sentence() -> None:
    assert complaint("depth=0") == "depth=0 is invalid; valid: a whole number from 1 to 100000"


def test_what_rests_on_a_refused_part_is_not_told_as_well() -> None:
    assert complaint("data.num_val=0").count("\n") == 0
    assert complaint("noise_schedule.time_max=1.5").count("\n") == 0  # the objective's own part
