import io
import json
import sys

import pytest
from rich.console import Console

from skiplab.analysis.study.study import read_study
from skiplab.analysis.wandb.wandb_workspace import workspace, workspace_command
from skiplab.errors import SkiplabError
from skiplab.records.layer_keys import layer_key

# of the package's own making
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def study(fill, runs):
    fill(effect=0.1, num_seeds=1, series=True)
    return read_study("s", runs.folder)


def test_its_panels_show_what_runs_log(study):
    made = workspace(study, "me", "skiplab")
    found = {section.name: section.panels for section in made.sections}
    (loss,) = found["Training loss by arm"]
    assert loss.y == ["loss"]
    assert loss.groupby.name == "axis.connection"
    logged = {layer_key("weight_gradient_norm", path) for path in study.layers["path"]}
    norms = [panel.y[0] for panel in found["Gradient norms"]]
    assert norms
    assert set(norms) <= logged
    drawn = {panel.y.name for panel in found["Outcomes against depth"] if hasattr(panel, "y")}
    assert drawn == {"loss_val", "skill_train", "frechet_distance"}


@pytest.mark.parametrize("name", ["s", "s,odd", "it's a=b", "Größe < 3 and 'x'"])
def test_it_shows_the_studys_runs_alone(study, runs, name):
    keys = (runs.folder / "studies" / "s" / "keys.txt").read_text()
    for each in ("odd", "it's a=b", "Größe < 3 and 'x'"):
        (runs.folder / "studies" / each).mkdir()
        (runs.folder / "studies" / each / "keys.txt").write_text(keys)
    made = workspace(read_study(name, runs.folder), "me", "skiplab")
    sent = json.loads(made._to_model().model_dump_json(by_alias=True))
    (runset,) = sent["spec"]["section"]["runSets"]
    parts = ["s", "odd"] if name == "s,odd" else [name]
    (shown,) = runset["filters"]["filters"]
    assert shown["key"] == {"section": "config", "name": "study"}
    assert (shown["op"], shown["value"]) == ("IN", parts)


def test_a_dry_run_prints_it_without_a_key(study, runs, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    console = Console(width=100, record=True, file=io.StringIO())
    workspace_command("s", runs.folder, "me", "skiplab", dry_run=True, console=console)
    content = json.loads(console.export_text())
    assert (content["entity"], content["displayName"]) == ("me", "skiplab s")


def test_a_missing_package_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(SkiplabError, match="pip install"):
        workspace(study, "me", "skiplab")
