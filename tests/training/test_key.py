"""A trial's key changes with whatever can change its outcome, and with nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from option_files import options
from skiplab.errors import SkiplabError
from skiplab.records.key import factors, trial_key
from tiny_trials import compose_config

# What observes a trial, names it, or says where it lies.
CHANGES_NOTHING = ("logger", "instrument", "evaluator", "feature_extractor", "eval_batch", "num_samples", "run")


# Keys under which trials of bundled data were published: of the defaults, and of a preset's.
PUBLISHED = ["c47bf49c44157132", "3893d32c6cd1998a"]


def leaves(node: Any, prefix: str = "") -> Iterator[str]:
    for name, child in node.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(child, dict):
            yield from leaves(child, path)
        else:
            yield path


def other(value: Any) -> Any:
    """A value that is not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "_other"
    if isinstance(value, list):
        return [*value, 1]
    return 1.0  # instead of None


DEFAULT = compose_config().config
LEAVES = list(leaves(OmegaConf.to_container(DEFAULT, resolve=True)))


@pytest.mark.parametrize("path", LEAVES)
def test_every_leaf_counts_unless_it_observes(path: str) -> None:
    config: DictConfig = DEFAULT.copy()
    OmegaConf.update(config, path, other(OmegaConf.select(config, path)), force_add=True)
    same = trial_key(config) == trial_key(DEFAULT)
    assert same == (path.split(".")[0] in CHANGES_NOTHING)


def test_the_leaves_above_are_of_both_kinds() -> None:
    observers = [path for path in LEAVES if path.split(".")[0] in CHANGES_NOTHING]
    assert {"run.study", "run.runs_dir", "logger.offline", "eval_batch.num_levels"} <= set(observers)
    assert {"seed", "depth", "num_threads", "optimizer.lr", "trainer.max_steps", "connection._target_"} <= set(LEAVES)


def test_where_images_are_kept_makes_no_other_trial_and_which_they_are_does(compose) -> None:
    key = trial_key(compose("data=cifar10").config)
    assert trial_key(compose("data=cifar10", "data.cache_dir=/elsewhere", "data.max_resident_bytes=1").config) == key
    assert trial_key(compose("data=cifar10", "data.path=other").config) != key


@pytest.mark.parametrize(
    "overrides", [["instrument=[update_ratio]"], ["evaluator=[frechet_distance]"], ["logger=none"]]
)
def test_other_observers_make_no_other_trial(overrides: list[str], compose) -> None:
    assert trial_key(compose(*overrides).config) == trial_key(DEFAULT)


def test_every_connection_is_another_trial(compose) -> None:
    keys = [trial_key(compose(f"connection={option}").config) for option in options("connection")]
    assert len(set(keys)) == len(keys)


def test_one_is_one_point_zero(compose) -> None:
    keys = {
        trial_key(compose(f"divergence_factor={text}", f"depth={depth}").config)
        for text, depth in (("1", "8"), ("1.0", "8"))
    }
    assert len(keys) == 1
    assert trial_key(compose("trainer.gradient_clip_norm=1").config) == trial_key(
        compose("trainer.gradient_clip_norm=1.0").config
    )


def test_the_order_of_keys_is_nothing() -> None:
    reverse = OmegaConf.create(dict(reversed(OmegaConf.to_container(DEFAULT, resolve=True).items())))
    assert trial_key(reverse) == trial_key(DEFAULT)


def test_interpolations_count_by_their_value(compose) -> None:
    written = compose("optimizer.lr=0.01").config
    referred = compose("+base=0.01", "optimizer.lr=${base}").config
    del referred["base"]
    referred.optimizer.lr = 0.01
    assert trial_key(written) == trial_key(referred)
    linked = compose("width=32", "batch_size=${width}").config
    assert trial_key(linked) == trial_key(compose("width=32", "batch_size=32").config)


def test_factors_are_flat_leaves_without_observers() -> None:
    flat = factors(DEFAULT)
    assert flat["depth"] == DEFAULT.depth
    assert flat["optimizer.lr"] == DEFAULT.optimizer.lr
    assert flat["backbone.channel_multipliers"] == "[1, 2]"
    assert flat["trainer.gradient_clip_norm"] is None
    assert not any(name.split(".")[0] in CHANGES_NOTHING or "_target_" in name for name in flat)


def test_large_whole_numbers_are_told_apart(compose) -> None:
    seeds = [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1]
    assert len({trial_key(compose(f"seed={seed}").config) for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("setting", ["seed=9223372036854775808", "data.split_seed=18446744073709551616"])
def test_whole_numbers_that_no_frame_holds_are_refused(setting: str, compose) -> None:
    with pytest.raises(SkiplabError, match=f"{setting} is too large; valid: whole numbers up to 9223372036854775807"):
        trial_key(compose(setting).config)


def test_keys_of_ordinary_trials_are_those_of_the_published_records(compose) -> None:
    keys = [
        trial_key(compose(*words).config) for words in (("sampler=ddim",), ("experiment=residual_in_diffusion/quick",))
    ]
    assert keys == PUBLISHED
