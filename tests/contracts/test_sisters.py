"""Every option of an axis that has a check for options of one's own passes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import skiplab.testing
from option_files import backbones, options
from settings_of_options import node_of
from skiplab.evaluators.evaluator import Evaluator
from skiplab.instruments.instrument import Instrument
from skiplab.training.factory import factory
from tiny_trials import compose_config

# Held to their checks in tests/blocks.
ELSEWHERE = {"check_connection", "check_branch"}


def make(axis: str, option: str, **settings: int) -> Callable:
    """What makes an option, at the defaults of its YAML but for some settings, where it has them."""
    node = compose_config(f"{axis}={option}").config[axis]
    for name, value in settings.items():
        if name in node:
            node[name] = value
    return factory(node, object)


def bundled() -> list[str]:
    """Data that lie in no file of the user's."""
    return [option for option in options("data") if "path" not in node_of("data", option)]


@pytest.mark.parametrize("option", options("shortcut"))
def test_every_shortcut_passes_its_check(option: str) -> None:
    skiplab.testing.check_shortcut(make("shortcut", option))


@pytest.mark.parametrize("option", options("long_skip"))
def test_every_long_skip_passes_its_check(option: str) -> None:
    skiplab.testing.check_long_skip(make("long_skip", option))


@pytest.mark.parametrize("option", options("norm"))
def test_every_norm_passes_its_check(option: str) -> None:
    skiplab.testing.check_norm(make("norm", option))


@pytest.mark.parametrize("option", backbones())
def test_every_backbone_passes_its_check(option: str) -> None:
    skiplab.testing.check_backbone(make("backbone", option))


@pytest.mark.parametrize("option", options("prediction"))
def test_every_prediction_passes_its_check(option: str) -> None:
    skiplab.testing.check_prediction(make("prediction", option))


@pytest.mark.parametrize("option", options("noise_schedule"))
def test_every_noise_schedule_passes_its_check(option: str) -> None:
    skiplab.testing.check_noise_schedule(make("noise_schedule", option))


@pytest.mark.parametrize("option", options("sampler"))
def test_every_sampler_passes_its_check(option: str) -> None:
    skiplab.testing.check_sampler(make("sampler", option))


@pytest.mark.parametrize("option", bundled())
def test_all_bundled_data_pass_their_check(option: str) -> None:
    skiplab.testing.check_dataset(make("data", option, num_train=600, num_val=100))


# What is too large for 64 samples, or takes seconds.
SMALLER = {
    "kernel_distance": {"subset_size": 32},
    "round_trip": {"num_steps": [1, 10]},
    "linear_probe": {"num_images": 64},
    "landscape": {"num_images": 8, "num_points": 5, "num_directions": 2, "num_eigenvalues": 2},
    "jacobian": {"num_images": 1},
    "shattered_gradients": {"num_segments": 4, "num_points": 17},
    "gradient_correlation": {"num_inputs": 64},
}


@pytest.mark.parametrize("option", options("evaluator"))
def test_every_evaluator_passes_its_check(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIPLAB_CACHE_DIR", str(tmp_path))
    node = compose_config(f"evaluator=[{option}]", "num_samples=64").config.evaluator[option]
    node.update(SMALLER.get(option, {}))
    skiplab.testing.check_evaluator(factory(node, Evaluator))


@pytest.mark.parametrize("option", options("instrument"))
def test_every_instrument_passes_its_check(option: str) -> None:
    node = compose_config(f"instrument=[{option}]").config.instrument[option]
    if "every_n_steps" in node:
        node.every_n_steps = 2
    skiplab.testing.check_instrument(factory(node, Instrument))


def test_every_check_is_used_on_the_projects_own_options() -> None:
    source = Path(__file__).read_text()
    unused = {name for name in skiplab.testing.__all__ if f"skiplab.testing.{name}(" not in source}
    assert unused == ELSEWHERE
