import io

import pandas as pd
import pytest
from rich.console import Console

from skiplab.analysis.tables.effects_command import effects_command
from skiplab.errors import SkiplabError


def test_effects_are_printed_and_written(fill, runs):
    fill(effect=0.1, noise=0.001)
    console = Console(width=100, record=True, file=io.StringIO())
    effects_command("s", runs.folder, metrics=["skill_train", "frechet_distance"], console=console)
    text = console.export_text()
    assert "connection identity over plain × depth, per doubling" in text
    written = pd.read_csv(runs.folder / "studies" / "s" / "effects.csv").set_index(["metric", "effect_of"])
    slope = written.loc[("skill_train", "connection identity over plain × depth, per doubling")]
    assert slope["low"] < 0.1 < slope["high"]
    assert abs(slope["effect"] - 0.1) < 0.002
    assert written.loc[("frechet_distance", "connection identity over plain"), "effect"] < 1


def test_the_control_can_be_named(fill, runs):
    fill(effect=0.1)
    console = Console(width=100, record=True, file=io.StringIO())
    effects_command("s", runs.folder, control="identity", metrics=["skill_train"], console=console)
    assert "connection plain over identity" in console.export_text()


def test_wrong_names_are_refused(fill, runs):
    fill(effect=0.1)
    with pytest.raises(SkiplabError, match="unknown metric 'skill'"):
        effects_command("s", runs.folder, metrics=["skill"])
    with pytest.raises(SkiplabError, match="unknown control 'pain'; valid: plain, identity; did you mean 'plain'"):
        effects_command("s", runs.folder, control="pain")
