"""Each preset runs two steps, at the first and at the last of its swept values."""

import pytest
import yaml

from option_files import CONF, options, presets
from tiny_trials import compose_config, run_composed

SHORT = ("logger=none", "trainer.max_steps=2", "num_samples=32")


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("preset", presets())
def test_runs_two_steps(preset: str, end: int, tmp_path) -> None:
    content = yaml.safe_load((CONF / "experiment" / f"{preset}.yaml").read_text())
    swept = content.get("hydra", {}).get("sweeper", {}).get("params", {})
    ends = {name: options(name) if values == "glob(*)" else str(values).split(",") for name, values in swept.items()}
    chosen = [f"{name}={values[end]}" for name, values in ends.items()]
    lists = [entry["override /evaluator"] for entry in content.get("defaults", []) if "override /evaluator" in entry]
    first = lists[0][0] if lists else "denoising_loss"  # the others have tests of their own, and cost minutes here
    chosen.append(f"evaluator=[{first}]")
    trial = run_composed(compose_config(f"experiment={preset}", *chosen, *SHORT), tmp_path)
    assert trial.outcome.status == "done"
    assert trial.record.read()["step"] == 2
    assert preset.startswith(content["run"]["study"])
    assert (tmp_path / "studies" / content["run"]["study"] / "keys.txt").exists()


@pytest.mark.parametrize("preset", presets())
def test_sets_nothing_of_an_instrument_or_evaluator_that_it_does_not_choose(preset: str) -> None:
    config = compose_config(f"experiment={preset}").config
    for lists in (config.instrument, config.evaluator):
        assert all("_target_" in node for node in lists.values())


def test_a_presets_settings_of_an_evaluator_say_nothing_where_another_is_asked_for(tmp_path) -> None:
    composed = compose_config("experiment=six_claims_patches", *SHORT, "depth=4", "evaluator=[denoising_loss]")
    record = run_composed(composed, tmp_path).record.read()
    assert list(record["evaluators"]) == ["denoising_loss"]
