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
    if not any("override /evaluator" in entry for entry in content.get("defaults", [])):
        chosen.append("evaluator=[denoising_loss]")
    trial = run_composed(compose_config(f"experiment={preset}", *chosen, *SHORT), tmp_path)
    assert trial.outcome.status == "done"
    assert trial.record.read()["step"] == 2
    assert preset.startswith(content["run"]["study"])
    assert (tmp_path / "studies" / content["run"]["study"] / "keys.txt").exists()
