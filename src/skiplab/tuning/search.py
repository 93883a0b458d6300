"""`skiplab tune`: every arm and cell gets the same learning rates, on seeds that the comparison never uses."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.paths import project_dir
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import TUNED
from skiplab.records.key import factors
from skiplab.records.study_list import study_folder
from skiplab.records.tuned import RATE, Tuned, write_tuned
from skiplab.records.writable import explain_unwritable
from skiplab.sweeps.grid import make_jobs
from skiplab.sweeps.job import Job
from skiplab.sweeps.rates import Search
from skiplab.tuning.trials import TuningTrial, combinations, levels_of, shared, tidy

_FEWEST_RATES = 5
_WITHOUT_OWN_SWEEP = ("hydra.sweeper.params=null", "hydra.sweeper.tuned=null")
_SMALLEST_FACTOR = 1.2  # between two rates: nearer ones would read alike


class Budget(NamedTuple):
    """What every combination is given.

    num_rates: learning rates to begin with, from 5.
    factor: between one rate and the next, from 1.2.
    widenings: how often a grid may be widened whose best lies at an edge, from 0.
    seeds: of the tuning trials.
    also: further settings to try, each 'KEY=V1,V2'.
    """

    num_rates: int
    factor: float
    widenings: int
    seeds: tuple[int, ...]
    also: tuple[str, ...]


class _Asked(NamedTuple):
    """A preset's sweep: words, an override each by what it sets; factors, what it sweeps besides the seed."""

    loader: ConfigLoader
    config: DictConfig
    words: dict[str, str]
    hydra_words: list[str]
    factors: tuple[str, ...]
    jobs: list[Job]


def tune(
    preset: str,
    overrides: Sequence[str],
    budget: Budget,
    metric_name: str,
    train: Callable[[list[str]], None],
    config_dir: Path | None,
) -> Path | None:
    """Try the rates on every combination of the sweep's factors, widen them for all while a best lies at an edge.

    Args:
        preset: a file of conf/experiment, as NAME/PROFILE.
        overrides: the user's, of which some may name several values.
        budget: what each combination is given.
        metric_name: what decides; its greatest mean over the seeds.
        train: runs the Hydra application on a command line.
        config_dir: a folder of a user's own options; None for none.

    Returns:
        Where tuned.yaml was written; None where nothing was to be run.

    Raises:
        SkiplabError: where something asked for is invalid, before anything is trained; or trials failed.
    """
    _check(budget)
    searched = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
    asked = _ask(loader, preset, [*searched, *overrides])
    settings = _settings(asked, budget)
    _check_seeds(asked, budget)
    evaluator, metric = _measure(asked.jobs[0].config, metric_name)
    search = Search(_centre(asked), budget.num_rates, budget.factor, budget.widenings)
    while True:
        words = _command(asked, evaluator, search.rates, settings, budget.seeds)
        train(["-m", f"experiment={preset}", *_WITHOUT_OWN_SWEEP, *asked.hydra_words, *words])
        jobs = make_jobs(loader, asked.config, [f"experiment={preset}", *words])
        if jobs[0].config.run.dry_run:
            return None
        trials = [TuningTrial.read(job, asked.factors, [RATE, *settings], metric_name, metric) for job in jobs]
        found = combinations(trials, search.rates, budget.seeds)
        if not search.widen([each.edge for each in found]):
            break
        print(f"a best rate lies at an edge; all combinations get {search.words}", flush=True)
    tuned = Tuned(
        study=str(jobs[0].config.run.study),
        preset=preset,
        overrides=tuple(overrides),
        metric=metric_name,
        label=metric.label,
        direction=str(metric.direction),
        seeds=budget.seeds,
        rates=search.rates,
        settings={name: list(dict.fromkeys(trial.chosen[name] for trial in trials)) for name in settings},
        widenings=search.num_widened,
        shared=shared(jobs, [*asked.factors, RATE, *settings]),
        combinations=tuple(found),
    )
    folder = study_folder(jobs[0].record.runs_dir, tuned.study)
    with explain_unwritable(folder):
        write_atomically(folder / "tuning.csv", tidy(trials, metric_name).encode())
        write_atomically(folder / TUNED, write_tuned(tuned).encode())
    return folder / TUNED


def _check(budget: Budget) -> None:
    if budget.num_rates < _FEWEST_RATES:
        raise SkiplabError(f"--rates {budget.num_rates} is too few to find a best; valid: from {_FEWEST_RATES}")
    if not (math.isfinite(budget.factor) and budget.factor >= _SMALLEST_FACTOR):
        raise SkiplabError(f"--factor {budget.factor:g} is invalid; valid: from {_SMALLEST_FACTOR}, such as 2 or 3.16")
    if budget.widenings < 0:
        raise SkiplabError(f"--widenings {budget.widenings} is invalid; valid: from 0")
    if not budget.seeds or len(set(budget.seeds)) < len(budget.seeds):
        raise SkiplabError(f"--seeds {','.join(map(str, budget.seeds))} is invalid; valid: different whole numbers")


def _ask(loader: ConfigLoader, preset: str, overrides: Sequence[str]) -> _Asked:
    """The sweep of a preset; a user's override takes the place of the preset's."""
    names = _preset_names(loader, overrides)
    if preset not in names:
        raise SkiplabError(f"unknown preset {preset!r}; valid: {', '.join(names)}")
    config = loader.load_configuration("train", [f"experiment={preset}", *overrides], run_mode=RunMode.MULTIRUN)
    given = list(config.hydra.overrides.task)[1:]  # without the preset's own
    parser = OverridesParser.create(config_loader=loader)
    words = {name: f"{name}={value}" for name, value in (config.hydra.sweeper.params or {}).items()}
    words |= {each.key_or_group: each.input_line for each in parser.parse_overrides(given)}
    swept = {each.key_or_group for each in parser.parse_overrides(list(words.values())) if each.is_sweep_override()}
    jobs = make_jobs(loader, config, [f"experiment={preset}", *words.values()])
    swept_factors = tuple(name for name in words if name in swept - {"seed"})
    levels_of(jobs[0], swept_factors)  # refuses what no trial is told apart by
    hydra_words = [word for word in config.hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    return _Asked(loader, config, words, hydra_words, swept_factors, jobs)


def _preset_names(loader: ConfigLoader, overrides: Sequence[str], group: str = "experiment") -> list[str]:
    """The presets in a folder of conf/, those of its subfolders as SUBFOLDER/PRESET."""

    def listed(kind: ObjectType) -> list[str]:
        return loader.get_group_options(group, kind, config_name="train", overrides=list(overrides))

    names = [
        f"{folder}/{name}"
        for folder in listed(ObjectType.GROUP)
        for name in _preset_names(loader, overrides, f"{group}/{folder}")
    ]
    return [*listed(ObjectType.CONFIG), *names]


def _settings(asked: _Asked, budget: Budget) -> dict[str, str]:
    """The further settings to try, an override each by name."""
    parsed = OverridesParser.create(config_loader=asked.loader).parse_overrides(list(budget.also))
    own = factors(asked.jobs[0].config)
    for each in parsed:
        name = each.key_or_group
        if name not in own:
            raise SkiplabError(f"--also {each.input_line}: valid: a setting that a trial has, such as optimizer.eps")
        if not each.is_sweep_override():
            raise SkiplabError(f"--also {each.input_line}: valid: several values, {name}=V1,V2")
    settings = {each.key_or_group: each.input_line for each in parsed}
    for name in (RATE, *settings):
        if name in asked.factors:
            raise SkiplabError(f"{name} is swept, and it is what is tuned; leave it out of the sweep")
    if RATE in settings:
        raise SkiplabError(f"--also {settings[RATE]}: the rates are chosen by --rates and --factor")
    return settings


def _check_seeds(asked: _Asked, budget: Budget) -> None:
    used = {job.config.seed for job in asked.jobs}
    if both := sorted(used & set(budget.seeds)):
        raise SkiplabError(
            f"the tuning seeds {_listed(budget.seeds)} and the study's {_listed(sorted(used))} share {_listed(both)}: "
            "what is compared must not be what was tuned; give others by --seeds"
        )


def _listed(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))


def _centre(asked: _Asked) -> float:
    """The preset's own rate, around which the others lie."""
    rates = sorted({job.config.optimizer.lr for job in asked.jobs})
    if len(rates) > 1:
        raise SkiplabError(
            f"{RATE} is {_listed(rates)} in this sweep, and one grid must serve all; tune each optimizer by itself, "
            "with a run.study of its own"
        )
    return rates[0]


def _measure(config: DictConfig, name: str) -> tuple[str, Metric]:
    """The one evaluator that tuning trials need, and the metric's declaration.

    Raises:
        SkiplabError: where no evaluator of the task declares such a metric, or a diverged trial would have no value.
    """
    from hydra.utils import get_class

    from skiplab.evaluators.classification import Classification
    from skiplab.evaluators.denoising_loss import DenoisingLoss

    tasks = {"denoising_loss": DenoisingLoss, "classification": Classification}
    objective = get_class(config.objective._target_)
    option = next(option for option, evaluator in tasks.items() if issubclass(objective, evaluator.measures))
    valid = {each: metric for each, metric in tasks[option].metrics.items() if metric.if_diverged is not None}
    if name not in valid:
        raise SkiplabError(
            f"--metric {name} can't decide between rates; valid, as a diverged trial counts with 0 in them: "
            f"{', '.join(valid)}"
        )
    return option, valid[name]


def _command(
    asked: _Asked, evaluator: str, rates: Sequence[float], settings: Mapping[str, str], seeds: Sequence[int]
) -> list[str]:
    """The tuning sweep as overrides."""
    own = {
        "seed": f"seed={_listed(seeds)}",
        "evaluator": f"evaluator=[{evaluator}]",
        "instrument": "instrument=[]",
        "run.study": f"run.study={asked.jobs[0].config.run.study}_tuning",
        "run.claims": "run.claims=null",  # they are about the study that follows
        RATE: f"{RATE}={_listed(rates)}",
        **settings,
    }
    return list({**asked.words, **own}.values())
