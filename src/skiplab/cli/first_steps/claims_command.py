"""`skiplab claims`: a claims file drafted from what a study varies and measures, or from what a preset will."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.frames import column
from skiplab.analysis.output_files import write
from skiplab.analysis.study.arms import DEFAULT_FACTOR, cell_factors, control_arm
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables.comparison import Selection, find_comparison
from skiplab.analysis.text import level_text, unknown_name
from skiplab.check_claims import measured_metrics
from skiplab.cli.first_steps.draft import Drafted, draft
from skiplab.configuration.isolated_hydra import isolated_hydra
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.paths import project_dir
from skiplab.printable import printable
from skiplab.records.study_list import study_names
from skiplab.records.writable import explain_unwritable
from skiplab.tuning.levels import levels_of
from skiplab.tuning.preset_sweep import PresetSweep, preset_names


def claims_command(
    name: str,
    overrides: Sequence[str],
    to: Path,
    selection: Selection,
    runs_dir: Path,
    config_dir: Path | None = None,
) -> Path:
    """Write a claims file about a study that was begun, or about a preset; returns its path.

    Args:
        name: of the study, or of the preset.
        overrides: the user's, for a preset.
        to: the file, which must not be there.
        selection: the factor, the control and the metrics that get claims.
        runs_dir: the folder of records.
        config_dir: the folder of the user's own options; None for none.

    Raises:
        SkiplabError: there is neither, a name is unknown, there is one arm, or the file is there.
    """
    if to.exists():
        raise SkiplabError(f"{printable(to)} is there; give the name of a new file by --to FILE")
    search_path = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    conf = str(project_dir("conf"))
    with isolated_hydra(), initialize_config_dir(config_dir=conf, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        given = _found(loader, name, [*search_path, *overrides], selection, runs_dir)
    if len(given.arms) < 2:
        raise SkiplabError(
            f"{printable(given.factor)} has one arm in {printable(name)}, {printable(', '.join(given.arms))}; valid "
            "for claims: two or more; name another factor by --factor"
        )
    if not given.deciding:
        raise SkiplabError(f"{printable(name)} measures nothing that has a better side; valid: a metric that has")
    with explain_unwritable(to.parent):
        write(to, draft(given))
    count = len(read_claims(to).claims)
    print(f"written: {printable(to)}, {count} claim{'' if count == 1 else 's'}")
    if given.has_begun:
        print(f"next: choose each smallest_effect, then `skiplab report {printable(name)} --claims {printable(to)}`")
    else:
        print(f"next: choose each smallest_effect, then train with run.claims={printable(to)}")
    return to


def _found(loader: ConfigLoader, name: str, overrides: Sequence[str], selection: Selection, runs_dir: Path) -> Drafted:
    presets, studies = preset_names(loader, overrides), study_names(runs_dir)
    if name in presets:
        sweep = PresetSweep.read(loader, name, overrides)
        return _of_preset(sweep, name, selection, has_begun=sweep.jobs[0].config.run.study in studies)
    if name not in studies and not all(part.strip() in studies for part in name.split(",")):
        raise SkiplabError(unknown_name(f"preset, or study in {runs_dir},", name, [*studies, *presets]))
    study = read_study(name, runs_dir)
    if not study.metrics:
        raise SkiplabError(
            f"no trial of {printable(name)} has measured anything yet; give the preset that sweeps it instead, or wait "
            "for the first trial"
        )
    return _of_study(study, selection)


def _of_study(study: Study, selection: Selection) -> Drafted:
    compared = find_comparison(study, None, selection)
    _check_sides(study.metrics, selection.metrics)
    return Drafted(
        name=f"study {study.name}",
        factor=compared.factor,
        arms=compared.arms,
        control=compared.control,
        cells={name: _levels(column(study.trials, name)) for name in cell_factors(study, compared.factor)},
        metrics=study.metrics,
        asked=selection.metrics or (),
        has_begun=True,
    )


def _of_preset(sweep: PresetSweep, name: str, selection: Selection, *, has_begun: bool) -> Drafted:
    own = [levels_of(job, sweep.factors) for job in sweep.jobs]
    levels = {factor: list(dict.fromkeys(each[factor] for each in own)) for factor in sweep.factors}
    axes = [factor for factor in levels if not any(factor.startswith(f"{other}.") for other in levels)]
    factor = selection.factor or (axes[0] if len(axes) == 1 else DEFAULT_FACTOR)
    if factor not in levels:
        raise SkiplabError(unknown_name(f"factor of preset {name}", factor, list(levels)))
    arms = [level_text(level) for level in levels[factor]]
    metrics = measured_metrics(sweep.jobs[0].config)
    _check_sides(metrics, selection.metrics)
    return Drafted(
        name=f"preset {name}",
        factor=factor,
        arms=arms,
        control=control_arm(arms, selection.control),
        cells={
            other: found for other, found in levels.items() if other != factor and not other.startswith(f"{factor}.")
        },
        metrics=metrics,
        asked=selection.metrics or (),
        has_begun=has_begun,
    )


def _check_sides(metrics: Mapping[str, Metric], asked: Sequence[str] | None) -> None:
    for name in asked or ():
        if name not in metrics:
            raise SkiplabError(unknown_name("metric", name, list(metrics)))
        if metrics[name].direction is None:
            raise SkiplabError(f"the metric {printable(name)} has no better side; valid for claims: one that has")


def _levels(values: Any) -> list[Any]:
    """The levels of a column as plain values, in order."""
    found = values.drop_duplicates().sort_values().astype(object).tolist()
    return [level.item() if hasattr(level, "item") else level for level in found]
