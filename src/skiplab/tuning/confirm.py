"""`skiplab confirm`: the best rate of each arm and cell has to stay the best on further seeds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from skiplab.configuration.override_text import override_text
from skiplab.errors import SkiplabError
from skiplab.printable import counted
from skiplab.records.key import factors
from skiplab.records.tuned import RATE, Combination, Tuned, read_tuned
from skiplab.sweeps.grid import make_jobs
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import level_override
from skiplab.tuning.rates import best_of
from skiplab.tuning.search_space import SearchSpace
from skiplab.tuning.trials import TuningTrial
from skiplab.tuning.tune import evaluator_of, read_sweep, write_results


def confirm(
    path: Path,
    overrides: Sequence[str],
    seeds: tuple[int, ...],
    train: Callable[[list[str]], None],
    config_dir: Path | None,
) -> Path | None:
    """Train the best rate of each combination on further seeds, until the best of each has been trained on them.

    A rate at which a trial collapses now and then can look the best on two seeds. Where another rate has the greater
    mean once the best was tried further, that one is trained on the further seeds, too. All else stays as tuned.

    Args:
        path: a tuned.yaml.
        overrides: the user's, beside those of the file.
        seeds: the further ones.
        train: runs the Hydra application with a command line.
        config_dir: the folder of the user's own options; None for none.

    Returns:
        The path of the new tuned.yaml, in the folder of the study of tuning; None for a dry run.

    Raises:
        SkiplabError: the file or an argument is invalid, before anything is trained; or trials failed.
    """
    tuned = read_tuned(path)
    if not seeds or len(set(seeds)) < len(seeds) or set(seeds) & set(tuned.seeds):
        given, before = (",".join(map(str, each)) for each in (seeds, tuned.seeds))
        raise SkiplabError(f"--seeds {given} is invalid; valid: different whole numbers other than {before}")
    sweep = read_sweep(tuned.preset, [*tuned.overrides, *overrides], config_dir)
    space = SearchSpace.read(sweep, tuned.also)
    sweep.check_seeds(seeds)
    evaluator, metric = evaluator_of(sweep.objective, tuned.metric)
    words = sweep.tuning_overrides(evaluator, [sweep.rate], seeds)
    before, tuned = tuned, replace(tuned, seeds=(*tuned.seeds, *seeds))
    trials: list[TuningTrial] = []
    while True:
        missing = [(each, tuned.seeds[len(each.curve[each.best[RATE]]) :]) for each in tuned.combinations]
        grids = [_grid(each, own) for each, own in missing if own]
        if not grids:
            break
        jobs = make_jobs(sweep.composer, words, grids)
        _check_alike(jobs, tuned, path)
        print(f"best rates to try on further seeds: {len(grids)}, {counted(len(jobs))}", flush=True)
        train(["-m", *sweep.hydra_overrides, f"hydra.sweeper.grids={override_text(grids)}", *words])
        if jobs[0].config.run.dry_run:
            return None
        new = [TuningTrial.read(job, sweep.factors, space, tuned.metric, metric) for job in jobs]
        trials += new
        tuned = replace(tuned, combinations=tuple(_with(each, new) for each in tuned.combinations))
    print("\n".join(_changes(before, tuned)) or "each best rate stays the best", flush=True)
    return write_results(tuned, trials, sweep.jobs[0].record.runs_dir, adds=True)


def _grid(combination: Combination, seeds: Sequence[int]) -> list[str]:
    """The overrides of the best settings of a combination at some seeds."""
    own = {**combination.factors, **combination.best}
    return [*(f"{name}={level_override(level)}" for name, level in own.items()), f"seed={','.join(map(str, seeds))}"]


def _check_alike(jobs: Sequence[Job], tuned: Tuned, path: Path) -> None:
    """Check that trials differ from those of the file in their seeds alone.

    Raises:
        SkiplabError: names the settings that differ.
    """
    for job in jobs:
        if others := tuned.departures(job.choices, factors(job.config)):
            was = " ".join(f"{name}={level_override(level)}" for name, level in others.items())
            raise SkiplabError(f"the trials of {path} had {was}; nothing was trained; give these as overrides")


def _with(combination: Combination, trials: Sequence[TuningTrial]) -> Combination:
    """A combination with what further trials of one of its rates found, and the rate that is now the best."""
    own = [trial for trial in trials if trial.levels == combination.factors]
    if not own:
        return combination
    rate = own[0].rate
    curve = {**combination.curve, rate: [*combination.curve[rate], *(trial.value for trial in own)]}
    best = best_of(curve)
    diverged = {*combination.diverged, *(trial.rate for trial in own if trial.status == "diverged")}
    return replace(
        combination,
        best={**combination.best, RATE: best.rate},
        value=best.value,
        edge=best.edge,
        window=best.window,
        curve=curve,
        diverged=tuple(sorted(diverged)),
    )


def _changes(before: Tuned, after: Tuned) -> Iterator[str]:
    """Where another rate is the best now."""
    for was, now in zip(before.combinations, after.combinations, strict=True):
        if was.best != now.best:
            where = " ".join(f"{name}={level_override(level)}" for name, level in now.factors.items())
            yield f"{where}: {RATE}={now.best[RATE]:g} in place of {was.best[RATE]:g}"
