"""A workspace on W&B for a study: losses by arm, gradient norms, outcomes against depth."""

import json
import unicodedata
from pathlib import Path
from typing import Any

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables.comparison import select_metrics
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.file_names import KEYS
from skiplab.records.layer_keys import layer_key

_ARM, _STUDY = "axis.connection", "study"  # of a run's configuration
_GRADIENTS = "weight_gradient_norm"


def workspace(study: Study, entity: str, project: str) -> Any:
    """The workspace, a wandb_workspaces.workspaces.Workspace, of the runs that were trained for the study.

    Nothing is saved. A trial that another study trained first belongs to the runs of that study.

    Raises:
        SkiplabError: if the package is missing.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError:
        raise SkiplabError("a workspace needs a package: pip install 'skiplab[wandb-workspaces]'") from None
    arm, depth = panels.Config(_ARM), panels.Config("depth")
    by_arm = {"groupby": arm, "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
    layers = list(dict.fromkeys(study.layers.loc[study.layers["quantity"] == _GRADIENTS, "path"]))
    shown = dict.fromkeys(layers[round(share * (len(layers) - 1))] for share in (0, 0.5, 1)) if layers else {}
    outcomes = select_metrics(study, None)
    sections = [
        workspaces.Section(
            name="Training loss by arm",
            is_open=True,
            panels=[panels.LinePlot(title="training loss", x="Step", y=["loss"], log_y=True, **by_arm)],
        ),
        workspaces.Section(
            name="Gradient norms",
            is_open=True,
            panels=[
                panels.LinePlot(title=path, x="Step", y=[layer_key(_GRADIENTS, path)], log_y=True, **by_arm)
                for path in shown
            ],
        ),
        workspaces.Section(
            name="Outcomes against depth",
            is_open=True,
            panels=[
                panel
                for name in outcomes
                for panel in (
                    panels.ScatterPlot(
                        title=study.metrics[name].label,
                        x=depth,
                        y=panels.SummaryMetric(name),
                        log_y=study.metrics[name].scale == "log",
                    ),
                    panels.BarPlot(title=study.metrics[name].label, metrics=[panels.SummaryMetric(name)], groupby=arm),
                )
            ],
        ),
    ]
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"skiplab {_without_symbols(study.name)}",
        sections=[section for section in sections if section.panels],
        runset_settings=workspaces.RunsetSettings(
            groupby=[workspaces.Config(_ARM)],
            filters=f"Config('{_STUDY}') in [{', '.join(map(_literal, _studies(study)))}]",
        ),
    )


def _studies(study: Study) -> list[str]:
    """The names of the studies that were read as one."""
    alone = (study.folder / KEYS).exists()
    return [study.name] if alone else [part.strip() for part in study.name.split(",")]


def _without_symbols(text: str) -> str:
    """Workspaces' names take none, such as = or +."""
    return "".join("_" if unicodedata.category(c)[0] == "S" else c for c in text)


def _literal(text: str) -> str:
    """In the package's language of filters, which takes signs such as = within quotes for its own."""
    return "'" + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + "'"


def workspace_command(
    study_name: str, runs_dir: Path, entity: str, project: str, dry_run: bool = False, console: Console | None = None
) -> None:
    """Save the workspace on W&B and print its address; or print it as JSON, which needs no key.

    Raises:
        SkiplabError: if there is no such study, the package is missing, or W&B refuses.
    """
    console = console or terminal.console()
    made = workspace(read_study(study_name, runs_dir), entity, project)
    if dry_run:
        content = json.loads(made._to_model().model_dump_json(by_alias=True))  # no public way to see it without a key
        console.print_json(data=content)
        return
    import wandb.errors

    try:
        saved = made.save()
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise SkiplabError(
            f"W&B refused the workspace: {printable(error)}; use --dry-run to print it instead"
        ) from None
    console.print(f"saved: {printable(saved.url)}", markup=False, highlight=False, soft_wrap=True)
