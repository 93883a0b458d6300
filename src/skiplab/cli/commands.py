"""What each command does: one function a command, called with its options by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skiplab.cli.train import train
from skiplab.errors import SkiplabError
from skiplab.printable import printable


def init(folder: Path) -> None:
    """Write a small project of one's own."""
    from skiplab.cli.first_steps.init import init

    init(folder)


def claims(
    name: str,
    overrides: Sequence[str],
    to: Path,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    runs_dir: Path,
    config_dir: Path | None,
) -> None:
    """Draft a claims file about a study or a preset."""
    from skiplab.analysis.tables.comparison import Selection
    from skiplab.cli.first_steps.claims_command import claims_command

    claims_command(name, overrides, to, Selection(factor, control, metrics), runs_dir, config_dir)


def status(study: str, watch: bool, runs_dir: Path) -> None:
    """Print how far a study is."""
    from skiplab.sweeps.status import status_command

    status_command(study, runs_dir, watch)


def evaluate(folder: str, config_dir: Path | None, trust: bool, overrides: Sequence[str]) -> None:
    """Run other evaluators on a saved trial.

    Raises:
        SkiplabError: the folder holds no finished trial, or an override doesn't fit it.
    """
    from skiplab.outcome_text import tell
    from skiplab.training.evaluate_record import evaluate_record
    from skiplab.training.quiet import quiet

    quiet()
    record = Path(folder).resolve()  # whose name is its key, also where it is given as `.`
    outcome = evaluate_record(record, overrides, config_dir, trust=trust)
    tell(outcome, record.parent)


def ablate(
    model: str,
    weights: Path | None,
    path: str,
    kinds: Sequence[Any] | None,
    factors: Sequence[float],
    to: Path,
    trust: bool,
    train_on: int | None,
    connection: str | None,
    lr: float | None,
    seeds: Sequence[int] | None,
) -> None:
    """Measure what each shortcut of a trained network carries, and train it on if asked to.

    Raises:
        SkiplabError: as `skiplab.cli.ablate.ablate_command`, or a setting of training is given without its steps.
    """
    from skiplab.cli.ablate import ablate_command
    from skiplab.training.quiet import quiet

    quiet()
    settings = {"connection": connection, "lr": lr, "seeds": seeds}
    given = {name: value for name, value in settings.items() if value is not None}
    if given and train_on is None:
        raise SkiplabError(f"--{next(iter(given))} is for training; give --train-on STEPS too")
    training = None
    if train_on is not None:
        from skiplab.factory_study.fine_tuned import Training

        training = Training(steps=train_on, **given)
    ablate_command(
        model, weights=weights, path=path, kinds=kinds, factors=factors, to=to, trust=trust, training=training
    )


def table(
    study: str,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    runs_dir: Path,
    **columns: Any,
) -> None:
    """Print and write the comparison table of a study or a file of results."""
    from skiplab.analysis.results.open_study import FileColumns
    from skiplab.analysis.tables.table_command import table_command

    table_command(study, runs_dir, factor, control, metrics, columns=FileColumns(**columns))


def compare(
    study: str,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str],
    smallest_effect: float,
    runs_dir: Path,
    **columns: Any,
) -> None:
    """Judge whether arms are better than the control, without a claims file."""
    from skiplab.analysis.claims.compare_command import compare_command
    from skiplab.analysis.results.open_study import FileColumns
    from skiplab.analysis.tables.comparison import Selection

    compare_command(
        study, runs_dir, Selection(factor, control, metrics), smallest_effect, columns=FileColumns(**columns)
    )


def effects(
    study: str,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    runs_dir: Path,
    **columns: Any,
) -> None:
    """Print and write the main effects and interactions of a study or a file of results."""
    from skiplab.analysis.results.open_study import FileColumns
    from skiplab.analysis.tables.effects_command import effects_command

    effects_command(study, runs_dir, factor, control, metrics, columns=FileColumns(**columns))


def equal_cost(
    study: str,
    factor: str | None,
    control: str | None,
    over: str | None,
    metrics: Sequence[str] | None,
    runs_dir: Path,
) -> None:
    """Print and write the best depth of each arm at equal cost."""
    from skiplab.analysis.tables.equal_cost_command import equal_cost_command

    equal_cost_command(study, runs_dir, factor, control, over, metrics)


def report(
    study: str,
    claims: Path | None,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    details: bool,
    runs_dir: Path,
    **columns: Any,
) -> None:
    """Judge the claims of a study or a file of results, if it has any, and write its page."""
    from skiplab.analysis.page.report import report_command
    from skiplab.analysis.results.open_study import FileColumns
    from skiplab.analysis.tables.comparison import Selection

    selection = Selection(factor, control, metrics)
    report_command(study, runs_dir, claims, selection=selection, columns=FileColumns(**columns), details=details)


def figures(
    study: str,
    claims: Path | None,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    formats: Sequence[str],
    only: Sequence[str] | None,
    runs_dir: Path,
    **columns: Any,
) -> None:
    """Write the figures of a study or a file of results as files."""
    from skiplab.analysis.figures.figure_files import figures_command
    from skiplab.analysis.results.open_study import FileColumns
    from skiplab.analysis.tables.comparison import Selection

    selection = Selection(factor, control, metrics)
    figures_command(study, runs_dir, claims, formats, only, selection=selection, columns=FileColumns(**columns))


def dashboard(
    study: str,
    claims: Path | None,
    factor: str | None,
    control: str | None,
    metrics: Sequence[str] | None,
    port: int,
    open_browser: bool,
    runs_dir: Path,
) -> None:
    """Serve the page of a study on this machine and rebuild it when its records change."""
    from skiplab.analysis.page.dashboard import dashboard_command
    from skiplab.analysis.tables.comparison import Selection
    from skiplab.sweeps.status import read_standings, summary

    def standing() -> str:
        return summary(study, read_standings(study, runs_dir))

    selection = Selection(factor, control, metrics)
    dashboard_command(study, runs_dir, claims, port, standing, selection=selection, open_browser=open_browser)


def sync(study: str, private: bool, runs_dir: Path) -> None:
    """Upload the offline W&B runs of a study."""
    from skiplab.analysis.wandb.wandb_sync import sync_command

    sync_command(study, runs_dir, private)


def import_runs(
    source: str,
    target: Path,
    arm: str,
    seed: str,
    by: Sequence[str],
    metrics: Sequence[str],
    tracker: Any,
    history: Path | None,
) -> None:
    """Write a table of the runs that someone's own code has logged."""
    from skiplab.analysis.trackers.import_command import import_command
    from skiplab.analysis.trackers.imported import Wanted

    import_command(source, target, Wanted(arm, seed, tuple(by), tuple(metrics)), tracker=tracker, history=history)


def wandb_import(source: str, study: str | None, runs_dir: Path) -> None:
    """Bring trials of skiplab back from W&B."""
    from skiplab.analysis.wandb.wandb_import import import_command

    import_command(source, runs_dir, study)


def wandb_workspace(study: str, entity: str, project: str, dry_run: bool, runs_dir: Path) -> None:
    """Create a W&B workspace for a study."""
    from skiplab.analysis.wandb.wandb_workspace import workspace_command

    workspace_command(study, runs_dir, entity, project, dry_run)


def reproduce(
    experiment: str | None,
    show_list: bool,
    profile: str,
    decide: bool,
    go_on: bool,
    budget: str | None,
    max_seeds: int | None,
    dry_run: bool,
    overrides: Sequence[str],
) -> None:
    """Run an experiment, judge its claims and write its report; without an experiment, list them all.

    Raises:
        SkiplabError: an option is given that needs --decide; or as `skiplab.reproduce.reproduce`.
    """
    from skiplab.deciding.limits import Limits, parse_budget
    from skiplab.errors import SkiplabError
    from skiplab.reproduce import list_experiments, reproduce

    limits = Limits(None if budget is None else parse_budget(budget), max_seeds, dry_run)
    if limits != Limits() and not decide:
        raise SkiplabError("--budget, --max-seeds and --dry-run are limits of looks; give --decide with them")
    if go_on and not decide:
        raise SkiplabError("--continue goes on to the next look; give --decide with it")
    if show_list or experiment is None:
        list_experiments()
    else:
        reproduce(experiment, profile, overrides, train, limits=limits if decide else None, go_on=go_on)


def demo(overrides: Sequence[str]) -> None:
    """Run the experiment that shows what skiplab does.

    Raises:
        SkiplabError: as `skiplab.reproduce.reproduce`.
    """
    from skiplab.deciding.limits import Limits
    from skiplab.reproduce import DEMO, DEMO_SEEDS, reproduce

    reproduce(*DEMO, overrides, train, limits=Limits(max_seeds=DEMO_SEEDS))


def decide(
    name: str,
    overrides: Sequence[str],
    claims: Path | None,
    budget: str | None,
    max_seeds: int | None,
    config_dir: Path | None,
    dry_run: bool,
) -> None:
    """Train a study look by look until its claims are decided."""
    from skiplab.deciding.decide import decide
    from skiplab.deciding.limits import Limits, parse_budget

    limits = Limits(None if budget is None else parse_budget(budget), max_seeds, dry_run)
    decide(name, overrides, claims, limits, train, config_dir)


def tune(
    preset: str,
    overrides: Sequence[str],
    num_rates: int,
    factor: float,
    widenings: int,
    seeds: tuple[int, ...],
    also: Sequence[str],
    unequal: bool,
    metric: str,
    config_dir: Path | None,
    dry_run: bool,
) -> None:
    """Find the best learning rate, and other settings, of each arm in each cell of a preset, and print them."""
    from skiplab.analysis.tables.tuning_table import tuning_command
    from skiplab.tuning.budget import Budget
    from skiplab.tuning.tune import tune

    budget = Budget(num_rates, factor, widenings, seeds, tuple(also), unequal)
    words = [*overrides, *(["run.dry_run=true"] if dry_run else [])]
    path = tune(preset, words, budget, metric, train, config_dir)
    if path:
        tuning_command(path)
        print(printable(f"to try the best rates on further seeds: skiplab confirm {path}"))


def confirm(
    tuned: Path, overrides: Sequence[str], seeds: tuple[int, ...], config_dir: Path | None, dry_run: bool
) -> None:
    """Try the best rates of a tuned.yaml on further seeds, and print what is the best now."""
    from skiplab.analysis.tables.tuning_table import tuning_command
    from skiplab.tuning.confirm import confirm

    words = [*overrides, *(["run.dry_run=true"] if dry_run else [])]
    path = confirm(tuned, words, seeds, train, config_dir)
    if path:
        tuning_command(path)


def readings(files: Sequence[str], to: Path, formats: Sequence[str]) -> None:
    """Write the figures of files of readings."""
    from skiplab.drawn_readings import readings_command

    readings_command(files, to, formats)


def doctor(runs_dir: Path) -> None:
    """Print what this machine has."""
    from skiplab.sweeps.doctor import doctor_command

    doctor_command(runs_dir)
