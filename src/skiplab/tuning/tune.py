"""`skiplab tune`: every arm and cell gets the same budget, on seeds that the comparison never uses."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from skiplab.configuration.override_text import override_text
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.paths import project_dir
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import TUNED
from skiplab.records.study_list import study_folder
from skiplab.records.tuned import RATE, Tuned, read_tuned, write_tuned
from skiplab.records.writable import explain_unwritable
from skiplab.sweeps.grid import make_jobs
from skiplab.tuning.budget import Budget
from skiplab.tuning.expected_cost import expected_cost
from skiplab.tuning.preset_sweep import PresetSweep
from skiplab.tuning.rates import RateGrid
from skiplab.tuning.search_space import SearchSpace
from skiplab.tuning.trials import TuningTrial, combinations, shared, tidy

TABLE = "tuning.csv"  # of all trials of a search


def tune(
    preset: str,
    overrides: Sequence[str],
    budget: Budget,
    metric_name: str,
    train: Callable[[list[str]], None],
    config_dir: Path | None,
) -> Path | None:
    """Try the rates on every combination of the swept factors; widen the grid for all while a best rate is at its edge.

    Args:
        preset: a preset of conf/experiment.
        overrides: the user's, some with several values.
        budget: what each combination is given.
        metric_name: the metric whose greatest mean over the seeds selects the best.
        train: runs the Hydra application with a command line.
        config_dir: the folder of the user's own options; None for none.

    Returns:
        The path of tuned.yaml; None for a dry run.

    Raises:
        SkiplabError: an argument is invalid, before anything is trained; or trials failed.
    """
    budget.check()
    sweep = read_sweep(preset, overrides, config_dir)
    space = SearchSpace.read(sweep, budget.also)
    sweep.check_seeds(budget.seeds)
    evaluator, metric = evaluator_of(sweep.objective, metric_name)
    grid = RateGrid(sweep.rate, budget.num_rates, budget.factor, budget.widenings)
    while True:
        words = sweep.tuning_overrides(evaluator, grid.rates, budget.seeds)
        jobs = make_jobs(sweep.composer, words, space.grids)
        if not budget.unequal:
            space.check_equal(jobs)
        if not (grid.num_widened or jobs[0].config.run.dry_run):
            _check_kept(study_folder(jobs[0].record.runs_dir, str(jobs[0].config.run.study)) / TUNED, budget.seeds)
        if not grid.num_widened:
            print(expected_cost(jobs, sweep, grid, budget), flush=True)
        train(["-m", *sweep.hydra_overrides, f"hydra.sweeper.grids={override_text(space.grids)}", *words])
        if jobs[0].config.run.dry_run:
            return None
        trials = [TuningTrial.read(job, sweep.factors, space, metric_name, metric) for job in jobs]
        found = combinations(trials, grid.rates, budget.seeds)
        if not grid.widen([each.edge for each in found]):
            break
        print(f"a best rate is at the edge of the grid, so all combinations now get {grid}", flush=True)
    tuned = Tuned(
        study=str(jobs[0].config.run.study),
        preset=preset,
        overrides=tuple(overrides),
        also=budget.also,
        metric=metric_name,
        label=metric.label,
        direction=str(metric.direction),
        seeds=budget.seeds,
        rates=grid.rates,
        widenings=grid.num_widened,
        shared=shared(jobs, lambda name: name in (*sweep.factors, RATE, "seed") or space.sets(name)),
        combinations=tuple(found),
    )
    return write_results(tuned, trials, jobs[0].record.runs_dir)


def _check_kept(path: Path, seeds: Sequence[int]) -> None:
    """Check that no result at other seeds, such as those of `skiplab confirm`, would be overwritten.

    Raises:
        SkiplabError: names the file, and these seeds if it can be read.
    """
    if not path.exists():
        return
    way = f"move it and {TABLE} first, or give another run.study"
    try:
        found = read_tuned(path).seeds
    except SkiplabError:
        raise SkiplabError(f"{path} is no result of `skiplab tune`, which would write over it; {way}") from None
    if others := [str(seed) for seed in found if seed not in seeds]:
        raise SkiplabError(
            f"{path} holds what was found at seeds {','.join(others)}, which tuning again would take away; {way}"
        )


def read_sweep(preset: str, overrides: Sequence[str], config_dir: Path | None) -> PresetSweep:
    """The sweep of a preset, with options of the user's own if a folder is given.

    Raises:
        SkiplabError: there is no such preset, or a trial of it is invalid.
    """
    search_path = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
    return PresetSweep.read(loader, preset, [*search_path, *overrides])


def write_results(tuned: Tuned, trials: Sequence[TuningTrial], runs_dir: Path, *, adds: bool = False) -> Path:
    """Write tuned.yaml, and a table of trials, to the folder of the study of tuning; returns the path of the first.

    Args:
        tuned: the content of tuned.yaml.
        trials: those of the table.
        runs_dir: the folder of records.
        adds: whether the table keeps the trials that it has.
    """
    folder = study_folder(runs_dir, tuned.study)
    table = folder / TABLE
    kept = table.read_text(encoding="utf-8") if adds and table.exists() else None
    with explain_unwritable(folder):
        write_atomically(table, tidy(trials, tuned.metric, kept).encode())
        write_atomically(folder / TUNED, write_tuned(tuned).encode())
    return folder / TUNED


def evaluator_of(objective: type, metric: str) -> tuple[str, Metric]:
    """The only evaluator that tuning trials need, and the declaration of the metric.

    Raises:
        SkiplabError: no evaluator of the task declares the metric, or a diverged trial would have no value of it.
    """
    from skiplab.evaluators.classification import Classification
    from skiplab.evaluators.denoising_loss import DenoisingLoss

    tasks = {"denoising_loss": DenoisingLoss, "classification": Classification}
    option = next(option for option, evaluator in tasks.items() if issubclass(objective, evaluator.measures))
    valid = {name: each for name, each in tasks[option].metrics.items() if each.if_diverged is not None}
    if metric not in valid:
        raise SkiplabError(
            f"--metric {metric} can't compare rates; valid: {', '.join(valid)}, which are 0 for a diverged trial"
        )
    return option, valid[metric]
