"""The command line: `skiplab COMMAND`; whatever a command needs is imported when it runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from skiplab import __version__
from skiplab.explain import explain
from skiplab.streams import take_any_text
from skiplab.train_command import train

_STUDY = "the name given by run.study=NAME; of several, NAME,NAME"
_CLAIMS = "a YAML file of claims to judge, which the study remembers (default: the one that it remembers)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `skiplab`."""
    take_any_text()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["train"]:
        train_main(arguments[1:])
        return
    parser = _parser()
    parsed, others = parser.parse_known_args(arguments)
    if others and ("overrides" not in parsed or any(word.startswith("-") for word in others)):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:  # argparse takes overrides before an option, and leaves those behind it
        parsed.overrides += others
    explain(lambda: parsed.run(parsed), arguments)


def train_main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `skiplab-train`, the plain Hydra application; `skiplab train` forwards to it."""
    take_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    explain(lambda: train(words), words)


def reproduce(experiment: str, profile: str, overrides: Sequence[str]) -> None:
    """Run an experiment, judge its claims and write its report."""
    from skiplab.reproduce import reproduce

    reproduce(experiment, profile, overrides, train)


def list_experiments() -> None:
    """Print the experiments with what each said when it was last published."""
    from skiplab.reproduce import list_experiments

    list_experiments()


def tune(parsed: argparse.Namespace) -> None:
    """Find learning rates for each arm and cell of a preset's sweep, and show them."""
    from skiplab.tuning.search import Budget, tune
    from skiplab.tuning.table import tuning_command

    budget = Budget(parsed.rates, parsed.factor, parsed.widenings, parsed.seeds, tuple(parsed.also))
    overrides = [*parsed.overrides, *(["run.dry_run=true"] if parsed.dry_run else [])]
    path = tune(parsed.preset, overrides, budget, parsed.metric, train, parsed.config_dir)
    if path:
        tuning_command(path)


def evaluate(folder: str, overrides: Sequence[str], config_dir: Path | None, trust: bool) -> None:
    """Measure a saved record with other evaluators.

    Raises:
        SkiplabError: where there is no finished record, or an override can't be applied to it.
    """
    from skiplab.outcome_text import tell
    from skiplab.training.evaluate_record import evaluate_record
    from skiplab.training.quiet import quiet

    quiet()
    record = Path(folder).resolve()  # whose name is its key, also where it is given as `.`
    outcome = evaluate_record(record, overrides, config_dir, trust=trust)
    tell(outcome, record.parent)


def status(study: str, runs_dir: str, watch: bool) -> None:
    """Print where a study stands."""
    from skiplab.sweeps.status import status_command

    status_command(study, Path(runs_dir), watch)


def doctor(runs_dir: str) -> None:
    """Print what this machine has."""
    from skiplab.sweeps.doctor import doctor_command

    doctor_command(Path(runs_dir))


def table(parsed: argparse.Namespace) -> None:
    """Print and write a study's comparison table."""
    from skiplab.analysis.tables.table_command import table_command

    table_command(parsed.study, Path(parsed.runs_dir), parsed.factor, parsed.control, parsed.metric)


def effects(parsed: argparse.Namespace) -> None:
    """Print and write a study's main effects and interactions."""
    from skiplab.analysis.tables.effects_command import effects_command

    effects_command(parsed.study, Path(parsed.runs_dir), parsed.factor, parsed.control, parsed.metric)


def figures(parsed: argparse.Namespace) -> None:
    """Write a study's figures as files."""
    from skiplab.analysis.figures.figure_files import figures_command
    from skiplab.analysis.tables.comparison import Selection

    asked = Selection(parsed.factor, parsed.control)
    figures_command(parsed.study, Path(parsed.runs_dir), parsed.claims, parsed.format, parsed.only, selection=asked)


def wandb_import(source: str, runs_dir: str, study: str | None) -> None:
    """Bring trials back from W&B."""
    from skiplab.analysis.wandb.wandb_import import import_command

    import_command(source, Path(runs_dir), study)


def sync(study: str, runs_dir: str) -> None:
    """Upload a study's offline runs."""
    from skiplab.analysis.wandb.wandb_sync import sync_command

    sync_command(study, Path(runs_dir))


def wandb_workspace(parsed: argparse.Namespace) -> None:
    """Create a workspace on W&B for a study."""
    from skiplab.analysis.wandb.wandb_workspace import workspace_command

    workspace_command(parsed.study, Path(parsed.runs_dir), parsed.entity, parsed.project, parsed.dry_run)


def report(parsed: argparse.Namespace) -> None:
    """Judge a study's claims, if it has any, and write its page."""
    from skiplab.analysis.page.report import report_command
    from skiplab.analysis.tables.comparison import Selection

    asked = Selection(parsed.factor, parsed.control, parsed.metric)
    report_command(parsed.study, Path(parsed.runs_dir), parsed.claims, selection=asked)


def dashboard(parsed: argparse.Namespace) -> None:
    """Serve a study's page on this machine, anew whenever its records change."""
    from skiplab.analysis.page.dashboard import dashboard_command
    from skiplab.analysis.tables.comparison import Selection
    from skiplab.sweeps.status import read_standings, summary

    study, runs_dir = parsed.study, Path(parsed.runs_dir)

    def standing() -> str:
        return summary(study, read_standings(study, runs_dir))

    asked = Selection(parsed.factor, parsed.control, parsed.metric)
    dashboard_command(study, runs_dir, parsed.claims, parsed.port, standing, selection=asked, open_browser=parsed.open)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is invalid; valid: whole numbers such as 9001,9002") from None


def _folder(text: str) -> Path:
    if not text or not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder; give the one that holds your options")
    return Path(text)


def _add_compared(command: argparse.ArgumentParser) -> None:
    command.add_argument("--factor", help="the factor under test (default: what alone varies, else connection)")
    command.add_argument("--control", help="the arm compared against (default: plain where there is one)")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skiplab", description="Ablation studies of residual against plain networks.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    commands.add_parser(
        "train", help="one trial, or a sweep with -m: Hydra overrides such as connection=plain,identity", add_help=False
    )

    command = commands.add_parser("status", help="what of a study is done, running, failed, left; time to go")
    command.add_argument("study", help="the name given by run.study=NAME")
    command.add_argument("--watch", action="store_true", help="keep showing it until nothing of it runs")
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.set_defaults(run=lambda a: status(a.study, a.runs_dir, a.watch))

    command = commands.add_parser("evaluate", help="measure a saved record with other evaluators")
    command.add_argument("folder", metavar="RUN", help="the record's folder, runs/KEY")
    command.add_argument("--config-dir", type=_folder, help="a folder of your own options")
    command.add_argument("--trust", action="store_true", help="make what the record asks for that is no option, too")
    command.add_argument(
        "overrides", nargs="*", help="Hydra overrides, such as evaluator=[frechet_distance] num_samples=5000"
    )
    command.set_defaults(run=lambda a: evaluate(a.folder, a.overrides, a.config_dir, a.trust))

    for name, run, words in (
        ("table", table, "compare the arms of a study, per cell and paired by seed"),
        ("effects", effects, "main effects and interactions of a study's factors"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("study", help=_STUDY)
        _add_compared(command)
        command.add_argument("--metric", action="append", help="a metric to compare; may be given several times")
        command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
        command.set_defaults(run=run)

    command = commands.add_parser("report", help="one self-contained HTML page: verdicts, tables, plots")
    command.add_argument("study", help=_STUDY)
    command.add_argument("--claims", type=Path, help=_CLAIMS)
    _add_compared(command)
    command.add_argument("--metric", action="append", help="a metric to compare; may be given several times")
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.set_defaults(run=report)

    command = commands.add_parser("figures", help="a study's figures as files for papers: PDF, SVG, PNG")
    command.add_argument("study", help=_STUDY)
    command.add_argument("--claims", type=Path, help=_CLAIMS)
    _add_compared(command)
    command.add_argument("--format", type=_words, default=("pdf", "png"), help="pdf, svg, png (default: pdf,png)")
    command.add_argument("--only", type=_words, metavar="NAME,NAME", help="these figures alone")
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.set_defaults(run=figures)

    command = commands.add_parser("sync", help="upload a study's offline W&B runs")
    command.add_argument("study", help=_STUDY)
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.set_defaults(run=lambda a: sync(a.study, a.runs_dir))

    command = commands.add_parser("wandb-import", help="bring trials back from W&B, to be compared like any others")
    command.add_argument("source", help="ENTITY/PROJECT, or a folder with offline runs")
    command.add_argument("--study", help="where they are listed (default: the study of each)")
    command.add_argument("--runs-dir", default="runs", help="where records go (default: runs)")
    command.set_defaults(run=lambda a: wandb_import(a.source, a.runs_dir, a.study))

    command = commands.add_parser("wandb-workspace", help="create a workspace on W&B for a study")
    command.add_argument("study", help=_STUDY)
    command.add_argument("--entity", required=True, help="whose workspace")
    command.add_argument("--project", default="skiplab", help="W&B's project (default: skiplab)")
    command.add_argument("--dry-run", action="store_true", help="print it as JSON, and save nothing")
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.set_defaults(run=wandb_workspace)

    command = commands.add_parser("dashboard", help="the report of a study while it is trained, in a browser")
    command.add_argument("study", help="the name given by run.study=NAME")
    command.add_argument("--claims", type=Path, help=_CLAIMS)
    _add_compared(command)
    command.add_argument("--metric", action="append", help="a metric to compare; may be given several times")
    command.add_argument("--runs-dir", default="runs", help="where the records are (default: runs)")
    command.add_argument("--port", type=int, default=8465, help="of this machine; 0: any that is free (default: 8465)")
    command.add_argument("--open", action="store_true", help="show it in the browser at once")
    command.set_defaults(run=dashboard)

    command = commands.add_parser("reproduce", help="run an experiment's sweep and print its verdicts")
    command.add_argument("experiment", nargs="?", help="a folder of experiments/")
    command.add_argument("--list", action="store_true", help="what there is: questions, profiles, costs, last verdicts")
    command.add_argument("--profile", default="quick", help="quick, standard or paper (default: quick)")
    command.add_argument("overrides", nargs="*", help="Hydra overrides, such as run.runs_dir=/data/runs")
    command.set_defaults(
        run=lambda a: (
            list_experiments() if a.list or not a.experiment else reproduce(a.experiment, a.profile, a.overrides)
        )
    )

    command = commands.add_parser("tune", help="learning rates for each arm and cell of a preset, with an equal budget")
    command.add_argument("preset", help="a file of conf/experiment, NAME/PROFILE; its sweep says which arms and cells")
    command.add_argument("overrides", nargs="*", help="Hydra overrides, such as depth=4 hydra/launcher=basic")
    command.add_argument("--rates", type=int, default=5, help="learning rates for each, from 5 (default: 5)")
    command.add_argument("--factor", type=float, default=10**0.5, help="between two rates (default: sqrt(10))")
    command.add_argument("--widenings", type=int, default=3, help="of the grid while a best is at an edge (default: 3)")
    command.add_argument(
        "--seeds", type=_seeds, default=(9001, 9002), help="that the study doesn't use (default: 9001,9002)"
    )
    command.add_argument("--also", action="append", default=[], metavar="KEY=V1,V2", help="a further setting to try")
    command.add_argument("--metric", default="skill_train", help="what decides (default: skill_train)")
    command.add_argument("--config-dir", type=_folder, help="a folder of your own options")
    command.add_argument("--dry-run", action="store_true", help="say what would be trained, and do nothing")
    command.set_defaults(run=tune)

    command = commands.add_parser("doctor", help="what this machine has: cores, GPU, launchers, W&B, weights, data")
    command.add_argument("--runs-dir", default="runs", help="where records would go (default: runs)")
    command.set_defaults(run=lambda a: doctor(a.runs_dir))
    return parser
