"""The commands, their arguments and their help."""

import argparse
import math
from functools import cache
from pathlib import Path

import skiplab
from skiplab.cli import commands


@cache
def make_parser() -> argparse.ArgumentParser:
    """The parser of `skiplab`; what it returns holds the function of the command as `command`, and its options.

    It is made once for all commands of a process, of which a notebook may call many.
    """
    parser = argparse.ArgumentParser(prog="skiplab", description="Ablation studies of residual against plain networks.")
    parser.add_argument("--version", action="version", version=skiplab.__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    command = subparsers.add_parser(
        "demo",
        help="train some 50 small networks on bundled images, print three verdicts and write a page that shows why",
    )
    _add_overrides(command, "run.runs_dir=/data/runs")
    command.set_defaults(command=commands.demo)

    subparsers.add_parser(
        "train",
        help="train one trial, or a sweep with -m; takes Hydra overrides such as connection=plain,identity",
        add_help=False,  # it prints its own
    )

    command = subparsers.add_parser("init", help="write a small project of your own, with three commands to run")
    command.add_argument("folder", type=Path, help="a folder that is new or empty")
    command.set_defaults(command=commands.init)

    command = subparsers.add_parser(
        "claims", help="draft a claims file from what a study varies and measures, or a preset will"
    )
    command.add_argument("name", metavar="STUDY|PRESET", help="a study, or a preset of conf/experiment")
    _add_overrides(command, "depth=4,8, for a preset")
    command.add_argument(
        "--to", type=Path, default=Path("claims.yaml"), metavar="FILE", help="a new file (default: claims.yaml)"
    )
    _add_comparison(command)
    _add_metrics(command)
    _add_runs_dir(command)
    _add_config_dir(command)
    command.set_defaults(command=commands.claims)

    command = subparsers.add_parser("status", help="show how many trials are done, running, failed or pending")
    command.add_argument("study", help="the name given by run.study=NAME")
    command.add_argument("--watch", action="store_true", help="update the display until no trial is running")
    _add_runs_dir(command)
    command.set_defaults(command=commands.status)

    command = subparsers.add_parser("evaluate", help="run other evaluators on a saved trial")
    command.add_argument("folder", metavar="RUN", help="the folder of the trial, runs/KEY")
    _add_config_dir(command)
    command.add_argument("--trust", action="store_true", help="also construct classes that aren't options of skiplab")
    _add_overrides(command, "evaluator=[frechet_distance] num_samples=5000")
    command.set_defaults(command=commands.evaluate)

    command = subparsers.add_parser(
        "ablate",
        help="measure what each shortcut of a trained network carries; with --train-on, also train on without them",
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        help="the folder of a trial, runs/KEY; a folder that save_pretrained of transformers or diffusers wrote; or "
        "module:function, which returns a network, example inputs and a loss",
    )
    command.add_argument("--weights", type=Path, metavar="FILE", help="a state dict for the network of a function")
    command.add_argument("--path", default="*", help="a pattern of module paths, such as 'blocks.*' (default: all)")
    command.add_argument(
        "--kind", dest="kinds", action="append", help="a kind of shortcut, such as identity; may be repeated"
    )
    command.add_argument(
        "--factors", type=_numbers, default=(0.0, 0.5, 1.5), help="of the stream; 0 removes it (default: 0,0.5,1.5)"
    )
    command.add_argument(
        "--to", type=Path, default=Path("ablated"), metavar="FOLDER", help="for a table and a figure (default: ablated)"
    )
    command.add_argument("--trust", action="store_true", help="also construct classes that aren't options of skiplab")
    command.add_argument(
        "--train-on",
        type=int,
        metavar="STEPS",
        help="then train the network on, with its shortcuts and without them",
    )
    command.add_argument("--connection", help="with --train-on: what takes the place of the shortcuts (default: plain)")
    command.add_argument("--lr", type=float, help="with --train-on: Adam's learning rate (default: 0.001)")
    command.add_argument(
        "--seeds",
        type=_seeds,
        help="with --train-on: seeds of the batches (default: 0,1,2)",
    )
    command.set_defaults(command=commands.ablate)

    command = subparsers.add_parser("table", help="compare the arms of a study in each cell, paired by seed")
    _add_studies(command, or_file=True)
    _add_comparison(command)
    _add_metrics(command)
    _add_columns(command)
    _add_runs_dir(command)
    command.set_defaults(command=commands.table)

    command = subparsers.add_parser(
        "compare", help="judge whether the arms of a study, or of a file of results, are better than its control"
    )
    _add_studies(command, or_file=True)
    _add_comparison(command)
    _add_metrics(command, required=True)
    command.add_argument(
        "--smallest-effect",
        type=_effect,
        default=0.0,
        metavar="D",
        help="the smallest difference that counts, on the metric's scale (default: 0)",
    )
    _add_columns(command)
    _add_runs_dir(command)
    command.set_defaults(command=commands.compare)

    command = subparsers.add_parser("effects", help="compute main effects and interactions of the factors of a study")
    _add_studies(command, or_file=True)
    _add_comparison(command)
    _add_metrics(command)
    _add_columns(command)
    _add_runs_dir(command)
    command.set_defaults(command=commands.effects)

    command = subparsers.add_parser("equal-cost", help="compare the best depths of the arms at equal cost of training")
    _add_studies(command)
    _add_comparison(command)
    command.add_argument("--over", help="the numeric factor whose best level each arm takes (default: depth)")
    _add_metrics(command)
    _add_runs_dir(command)
    command.set_defaults(command=commands.equal_cost)

    command = subparsers.add_parser("report", help="write one HTML page with verdicts, tables and plots")
    _add_studies(command, or_file=True)
    _add_claims(command)
    _add_comparison(command)
    _add_metrics(command)
    command.add_argument(
        "--details", action="store_true", help="print the tests behind each verdict, cell by cell, and the evidence"
    )
    _add_columns(command)
    _add_runs_dir(command)
    command.set_defaults(command=commands.report)

    command = subparsers.add_parser("figures", help="write the figures of a study for a paper, as PDF, SVG or PNG")
    _add_studies(command, or_file=True)
    _add_claims(command)
    _add_comparison(command)
    _add_metrics(command)
    _add_columns(command)
    _add_formats(command)
    command.add_argument("--only", type=_names, metavar="NAME,NAME", help="write only these figures")
    _add_runs_dir(command)
    command.set_defaults(command=commands.figures)

    command = subparsers.add_parser(
        "readings", help="write the figures of what skiplab.watch measured in your own loop"
    )
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="a file of readings, or ARM=FILE,FILE with a file for each seed"
    )
    command.add_argument("--to", type=Path, default=Path("figures"), help="the folder of figures (default: figures)")
    _add_formats(command)
    command.set_defaults(command=commands.readings)

    command = subparsers.add_parser("sync", help="upload the offline W&B runs of a study")
    _add_studies(command)
    command.add_argument("--private", action="store_true", help="leave out what names folders: config.yaml, errors")
    _add_runs_dir(command)
    command.set_defaults(command=commands.sync)

    command = subparsers.add_parser(
        "import", help="make a table of the runs that your own code logged: W&B, TensorBoard, Lightning, Hydra, MLflow"
    )
    command.add_argument("source", help="a folder with runs, or ENTITY/PROJECT of W&B")
    command.add_argument(
        "--to", dest="target", type=Path, required=True, metavar="FILE", help="the table to write: .csv or .parquet"
    )
    command.add_argument(
        "--arm",
        required=True,
        metavar="NAME",
        help="what is compared: config.model, or path.0 for the first folder of a run's path, name, group",
    )
    command.add_argument("--seed", default="config.seed", metavar="NAME", help="the seed (default: config.seed)")
    command.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="NAME",
        help="another factor, such as config.depth; may be repeated",
    )
    command.add_argument(
        "--metric",
        dest="metrics",
        action="append",
        required=True,
        metavar="NAME:lower",
        help="a logged value and which is better, lower or higher; its last value counts; may be repeated",
    )
    command.add_argument(
        "--tracker", choices=("wandb", "mlflow", "files"), help="who wrote the runs, where several did"
    )
    command.add_argument("--history", type=Path, metavar="FILE", help="write the values of each step there too")
    command.set_defaults(command=commands.import_runs)

    command = subparsers.add_parser("wandb-import", help="bring trials that skiplab trained back from W&B, as records")
    command.add_argument("source", help="ENTITY/PROJECT, or a folder with offline runs")
    command.add_argument("--study", help="add all of them to this study (default: the study of each trial)")
    _add_runs_dir(command)
    command.set_defaults(command=commands.wandb_import)

    command = subparsers.add_parser("wandb-workspace", help="create a W&B workspace for a study")
    _add_studies(command)
    command.add_argument("--entity", required=True, help="the W&B user or team that owns it")
    command.add_argument("--project", default="skiplab", help="the W&B project (default: skiplab)")
    command.add_argument("--dry-run", action="store_true", help="print the workspace as JSON, save nothing")
    _add_runs_dir(command)
    command.set_defaults(command=commands.wandb_workspace)

    command = subparsers.add_parser("dashboard", help="serve the report of a study while it trains")
    command.add_argument("study", help="the name given by run.study=NAME")
    _add_claims(command)
    _add_comparison(command)
    _add_metrics(command)
    command.add_argument("--port", type=int, default=8465, help="local port, 0 for any free one (default: 8465)")
    command.add_argument("--open", dest="open_browser", action="store_true", help="open it in the browser")
    _add_runs_dir(command)
    command.set_defaults(command=commands.dashboard)

    command = subparsers.add_parser("reproduce", help="run a published experiment and compare its verdicts")
    command.add_argument("experiment", nargs="?", help="a folder of experiments/")
    command.add_argument(
        "--list",
        dest="show_list",
        action="store_true",
        help="list all experiments with their question, profiles, cost and last verdicts",
    )
    command.add_argument(
        "--profile", default="quick", help="such as quick, standard or paper; --list names them (default: quick)"
    )
    command.add_argument(
        "--decide", action="store_true", help="train it look by look until its claims are decided, as `skiplab decide`"
    )
    command.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="with --decide: count the published trials as done, and train only what the next look needs",
    )
    _add_limits(command)
    _add_overrides(command, "run.runs_dir=/data/runs")
    command.set_defaults(command=commands.reproduce)

    command = subparsers.add_parser(
        "decide", help="train more seeds, look by look, until each claim of a study or preset is decided"
    )
    command.add_argument("name", metavar="STUDY|PRESET", help="a study, or a preset of conf/experiment")
    _add_overrides(command, "depth=4 run.runs_dir=/data/runs")
    _add_claims(command)
    _add_limits(command)
    _add_config_dir(command)
    command.set_defaults(command=commands.decide)

    command = subparsers.add_parser(
        "tune", help="tune rates and any other option for each arm and cell, with equal budgets"
    )
    command.add_argument("preset", help="a preset of conf/experiment, whose sweep defines the arms and cells")
    _add_overrides(command, "depth=4 hydra/launcher=basic")
    command.add_argument(
        "--rates", dest="num_rates", type=int, default=5, help="learning rates per combination, at least 5 (default: 5)"
    )
    command.add_argument(
        "--factor", type=float, default=10**0.5, help="ratio of two neighboring rates (default: sqrt(10))"
    )
    command.add_argument(
        "--widenings",
        type=int,
        default=3,
        help="how often the grid grows while a best rate is at its edge (default: 3)",
    )
    command.add_argument(
        "--seeds", type=_seeds, default=(9001, 9002), help="seeds that the study doesn't use (default: 9001,9002)"
    )
    command.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="[ARM:]KEY=V1,V2",
        help="an option or setting to try with every rate, such as init=default,he or plain:init=default,looks_linear "
        "for one arm, which then needs as many values for each other arm; names joined by + change together, such as "
        "init+norm=default+group,fixup+none; may be repeated. What a network refuses is refused before anything is "
        "trained",
    )
    command.add_argument(
        "--unequal", action="store_true", help="accept more tries for one arm than for another; verdicts say so"
    )
    command.add_argument(
        "--metric", default="skill_train", help="the metric that selects the best (default: skill_train)"
    )
    _add_config_dir(command)
    command.add_argument("--dry-run", action="store_true", help="print what would be trained, train nothing")
    command.set_defaults(command=commands.tune)

    command = subparsers.add_parser(
        "confirm", help="try the best rates of a tuned.yaml on further seeds, and take another where it is better"
    )
    command.add_argument("tuned", type=Path, help="tuned.yaml, which `skiplab tune` wrote")
    _add_overrides(command, "run.runs_dir=/data/runs hydra.launcher.workers=2")
    command.add_argument(
        "--seeds",
        type=_seeds,
        default=(9003, 9004, 9005, 9006),
        help="seeds that neither tuning nor the study used (default: 9003,9004,9005,9006)",
    )
    _add_config_dir(command)
    command.add_argument("--dry-run", action="store_true", help="print what would be trained, train nothing")
    command.set_defaults(command=commands.confirm)

    command = subparsers.add_parser("doctor", help="show the cores, GPUs, launchers, W&B account and data available")
    _add_runs_dir(command)
    command.set_defaults(command=commands.doctor)
    return parser


def _add_studies(command: argparse.ArgumentParser, *, or_file: bool = False) -> None:
    own = "; or a file of your own results, with a row for each run: .csv, .parquet, .jsonl" if or_file else ""
    command.add_argument("study", help=f"the name given by run.study=NAME; several as NAME,NAME{own}")


def _add_claims(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--claims", type=Path, help="a YAML file of claims to judge; the study uses it from now on (default: its last)"
    )


def _add_comparison(command: argparse.ArgumentParser) -> None:
    command.add_argument("--factor", help="the factor under test (default: the only one that varies, else connection)")
    command.add_argument("--control", help="the arm that others are compared with (default: plain if there is one)")


def _add_metrics(command: argparse.ArgumentParser, *, required: bool = False) -> None:
    command.add_argument(
        "--metric",
        dest="metrics",
        action="append",
        required=required,
        help="a metric to compare, of a file COLUMN:lower or COLUMN:higher for what is better; may be repeated",
    )


def _add_columns(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("columns of a file of results")
    group.add_argument("--arm", metavar="COLUMN", help="what is compared (default: arm)")
    group.add_argument("--seed", metavar="COLUMN", help="tells the runs of an arm apart (default: seed)")
    group.add_argument(
        "--by",
        metavar="COLUMN",
        action="append",
        default=[],
        help="another factor; arms are compared at each of its levels; may be repeated",
    )
    group.add_argument("--pair-by", metavar="COLUMN", help="what makes pairs of runs, such as fold (default: the seed)")
    group.add_argument("--unpaired", action="store_true", help="rows are runs without a seed; arms aren't paired")
    group.add_argument("--status", metavar="COLUMN", help="how each run ended: done, failed, diverged, ...")
    group.add_argument("--history", type=Path, metavar="FILE", help="curves: the columns above, step, metric, value")
    group.add_argument(
        "--layers", type=Path, metavar="FILE", help="readings of layers: the columns above, path, quantity, value"
    )


def _add_formats(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format", dest="formats", type=_names, default=("pdf", "png"), help="pdf, svg, png (default: pdf,png)"
    )


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--budget",
        metavar="TIME",
        help="stop before a look that would take longer: 90min, 2h (default: none)",
    )
    command.add_argument(
        "--max-seeds",
        type=int,
        metavar="N",
        help="leave out looks at more seeds (default: none)",
    )
    command.add_argument("--dry-run", action="store_true", help="print what it would cost, train nothing")


def _add_overrides(command: argparse.ArgumentParser, example: str) -> None:
    command.add_argument("overrides", nargs="*", help=f"Hydra overrides, such as {example}")


def _add_runs_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the folder of records (default: runs)")


def _add_config_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config-dir", type=_folder, help="a folder with options of your own")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is invalid; valid: whole numbers such as 9001,9002") from None


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is invalid; valid: numbers such as 0,0.5,1.5") from None


def _effect(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is invalid; valid: a number from 0")
    return value


def _folder(text: str) -> Path:
    if not text or not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder; give the folder that holds your options")
    return Path(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
