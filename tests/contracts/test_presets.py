"""A preset of each experiment runs two steps, at the last of its swept values; a big one builds its network.

Under `slow`, each preset does, at the first of its swept values too.
"""

import re
from functools import cache
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import OmegaConf

from option_files import AXES, CONF, options, presets
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.text import level_text
from skiplab.configuration.settings import Settings
from skiplab.data.shapes import Shapes
from skiplab.evaluators.evaluator import Evaluator
from skiplab.records.key import trial_key
from skiplab.records.registrations import find_claims, registrations
from skiplab.reproduce import experiments
from skiplab.training.factory import factory
from tiny_trials import compose_config, network, run_composed

SHORT = (
    "logger=none",
    "trainer.max_steps=2",
    "scheduler.warmup_steps=0",
    "num_samples=32",
    "eval_batch.num_images=16",
    "eval_batch.num_levels=2",
)
# In place of data that have to be downloaded, and of a GPU.
STAND_INS = {"data": {"cifar10": "shapes", "mnist": "shapes"}, "trainer": {"gpu": "cpu"}}
MEASURED_IMAGES = ("num_train", "num_val")  # of an evaluator that reads whole splits
BIG = ("/standard", "/paper", "/deep", "/plain_at_best")
# The data that a word of a claim stands for.
NAMED_DATA = {
    "digits": ("digits", "digits_points"),
    "MNIST": ("mnist",),
    "CIFAR-10": ("cifar10",),
    "photographs": ("patches",),
}
BUNDLED = ("digits", "digits_points", "patches", "gaussian_mixture")


@cache
def swept(preset: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The preset's choices, and the values of each factor of its sweep."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        whole = compose("train", overrides=[f"experiment={preset}"], return_hydra_config=True)
    found = OmegaConf.to_container(whole.hydra.sweeper.params or {})
    return dict(whole.hydra.runtime.choices), {name: levels(name, str(value)) for name, value in found.items()}


def levels(name: str, value: str) -> list[str]:
    """The values of a factor, as the sweep's grammar lists them."""
    if value == "glob(*)":
        return options(name)
    if numbers := re.fullmatch(r"range\((\d+),(\d+)\)", value):
        return [str(number) for number in range(*map(int, numbers.groups()))]
    return value.split(",")


def is_big(preset: str) -> bool:
    return any(part in preset for part in BIG)


def asked(preset: str, end: int) -> list[str]:
    """The preset at one end of its sweep, on data and a device that are there."""
    choices, values = swept(preset)
    chosen = {name: each[end] for name, each in values.items()}
    chosen |= {axis: stands[choices[axis]] for axis, stands in STAND_INS.items() if choices[axis] in stands}
    few = ["batch_size=16"] if choices["data"] in STAND_INS["data"] else []  # a GPU's batches take a CPU long
    return [f"experiment={preset}", *(f"{name}={level}" for name, level in chosen.items()), *few, *SHORT]


def one_of_each_experiment(names: list[str]) -> list[Any]:
    """All of them; by default the first of each experiment."""
    first = {name.split("/")[0]: name for name in reversed(names)}
    return [pytest.param(each, marks=[] if each in first.values() else [pytest.mark.slow]) for each in names]


BOTH_ENDS = pytest.mark.parametrize("end", [pytest.param(0, marks=pytest.mark.slow), -1])


@BOTH_ENDS
@pytest.mark.parametrize("preset", one_of_each_experiment([preset for preset in presets() if not is_big(preset)]))
def test_runs_two_steps(preset: str, end: int, tmp_path) -> None:
    composed = compose_config(*asked(preset, end))
    evaluators = composed.config.evaluator
    for node in evaluators.values():
        factory(node, Evaluator)()  # takes the preset's settings
    for other in list(evaluators)[1:]:  # they have tests of their own, and cost minutes
        del evaluators[other]
    for node in evaluators.values():
        node.update({name: 16 for name in MEASURED_IMAGES if name in node})
    trial = run_composed(composed, tmp_path)
    assert trial.outcome.status in ("done", "diverged")
    assert trial.record.read()["step"] <= 2
    study = trial.composed.config.run.study
    assert preset.replace("/", "_").startswith(study)
    assert (tmp_path / "studies" / study / "keys.txt").exists()
    if trial.composed.config.run.claims:
        (entry,) = registrations(tmp_path / "studies" / study)
        assert entry.source == str(find_claims(trial.composed.config.run.claims))


@BOTH_ENDS
@pytest.mark.parametrize("preset", [preset for preset in presets() if is_big(preset)])
def test_a_big_one_builds_its_network(preset: str, end: int) -> None:
    config = compose_config(*asked(preset, end)).config
    data = Shapes(size=32, num_train=8, num_val=4, seed=0) if "Shapes" in config.data._target_ else None
    assert sum(parameter.numel() for parameter in network(config, data).parameters())
    assert preset.replace("/", "_").startswith(config.run.study)


@pytest.mark.parametrize("preset", [preset for preset in presets() if "/paper" not in preset])
def test_only_profiles_of_papers_and_those_named_for_their_data_need_a_download(preset: str) -> None:
    data = swept(preset)[0]["data"]
    assert data in BUNDLED or preset.partition("/")[2].startswith(data)


EXPERIMENTS = experiments()
PROFILES = [(name, profile) for name, each in EXPERIMENTS.items() for profile in each.profiles]


@pytest.mark.parametrize(("name", "profile"), PROFILES)
def test_a_profile_is_judged_by_claims_of_its_own_else_the_experiments(name: str, profile: str) -> None:
    experiment = EXPERIMENTS[name]
    own = experiment.folder / profile / "claims.yaml"
    expected = own if own.exists() else experiment.folder / "claims.yaml"
    assert experiment.claims(profile).samefile(expected)
    for preset in experiment.profiles[profile]:
        assert find_claims(compose_config(f"experiment={preset}").config.run.claims).samefile(expected)


@pytest.mark.parametrize(("name", "profile"), PROFILES)
def test_the_tested_part_of_a_claim_names_no_other_data_than_the_profiles(name: str, profile: str) -> None:
    """Else `skiplab reproduce` would say of a profile what was copied from another. Only NAMED_DATA is known."""
    experiment = EXPERIMENTS[name]
    own = {swept(preset)[0]["data"] for preset in experiment.profiles[profile]}
    others = [words for words, data in NAMED_DATA.items() if not own.intersection(data)]
    for claim in read_claims(experiment.claims(profile)).claims:
        tested = (claim.tested_part or "").partition("not tested")[0]
        assert not [words for words in others if words in tested], claim.name


@pytest.mark.parametrize(("name", "profile"), PROFILES)
def test_a_profile_has_what_its_claims_ask_for(name: str, profile: str) -> None:
    experiment, metrics = EXPERIMENTS[name], set()
    claims = read_claims(experiment.claims(profile)).claims
    contrasts = [test.contrast for claim in claims for test in claim.tests]
    factors = {name for each in contrasts for name in (each.factor, each.over)} - {None}
    levels_of = {factor: set() for factor in factors.union(*(claim.cells for claim in claims))}
    for preset in experiment.profiles[profile]:
        config = compose_config(f"experiment={preset}").config
        values = {factor.lstrip("+"): each for factor, each in swept(preset)[1].items()}
        for factor, found in levels_of.items():
            given = values[factor] if factor in values else [str(OmegaConf.select(config, factor))]
            found.update(level_text(yaml.safe_load(each)) for each in given)
        for node in (*config.instrument.values(), *config.evaluator.values()):
            metrics |= set(get_object(node._target_).metrics)
    for contrast in contrasts:
        assert contrast.metric in metrics
        assert {contrast.control, contrast.treatment} <= levels_of[contrast.factor]
        assert contrast.over is None or len(levels_of[contrast.over]) > 1
    assert all(set(levels) <= levels_of[factor] for claim in claims for factor, levels in claim.cells.items())


def test_standard_profiles_of_the_same_network_share_its_trials() -> None:
    def key(name: str, *overrides: str) -> str:
        return trial_key(compose_config(f"experiment={name}/standard", *overrides).config)

    for connection in ("connection=plain", "connection=identity"):
        for depth in ("depth=9", "depth=27"):
            assert key("he2015_resnet", connection, depth) == key("li2018_landscape", connection, depth)
        deepest = key("he2015_resnet", connection, "depth=54")
        assert {key(name, connection) for name in ("veit2016_lesion", "he2016_preact")} == {deepest}
    assert key("huang2016_stochdepth", "connection=identity") == deepest


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_quick_profile_or_says_which_it_has(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.profiles
    readme = (experiment.folder / "README.md").read_text()
    assert all(f"--profile {profile}`" in readme for profile in experiment.profiles)


@pytest.mark.parametrize("preset", presets())
def test_sets_nothing_of_an_instrument_or_evaluator_that_it_does_not_choose(preset: str) -> None:
    config = compose_config(f"experiment={preset}").config
    for lists in (config.instrument, config.evaluator):
        assert all("_target_" in node for node in lists.values())


@pytest.mark.parametrize("preset", presets())
def test_sets_what_there_is(preset: str) -> None:
    words = asked(preset, -1)
    config = compose_config(*words).config
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        Settings(GlobalHydra.instance().config_loader()).check(config, words)


@pytest.mark.parametrize("preset", presets())
def test_sets_values_only_in_groups_that_it_holds_fixed(preset: str) -> None:
    content = yaml.safe_load((CONF / "experiment" / f"{preset}.yaml").read_text())
    swept = {name.split(".")[0] for name in content.get("hydra", {}).get("sweeper", {}).get("params", {})}
    leaking = {name for name in content if name in swept and name in AXES}
    assert not leaking, f"{preset} sets values in {leaking}, which it sweeps: they leak into its other options"


@pytest.mark.parametrize("preset", presets())
def test_composes(preset: str) -> None:
    assert set(compose_config(f"experiment={preset}").config) == set(compose_config().config)


def test_a_presets_settings_of_an_evaluator_say_nothing_where_another_is_asked_for(tmp_path) -> None:
    composed = compose_config("experiment=six_claims/tuned_patches", *SHORT, "depth=4", "evaluator=[denoising_loss]")
    record = run_composed(composed, tmp_path).record.read()
    assert list(record["evaluators"]) == ["denoising_loss"]
