"""A small study of a LightningModule of one's own, from Python."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from skiplab.analysis.study.contents import OWN_COLUMNS
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables.comparison import NO_SELECTION, find_comparison
from skiplab.analysis.tables.parity import unequal_arms
from skiplab.configuration.hydra_errors import explained
from skiplab.configuration.isolated_hydra import isolated_hydra
from skiplab.configuration.override_text import override_text, plain
from skiplab.errors import SkiplabError
from skiplab.factory_study.arguments import mapping, values_of
from skiplab.factory_study.factory import ModelFactory
from skiplab.kinds import is_of
from skiplab.metrics import Metric
from skiplab.paths import project_dir
from skiplab.records.key import trial_key
from skiplab.records.record import HeldError, Record
from skiplab.records.statuses import FINISHED
from skiplab.records.study_list import study_folder
from skiplab.training.findings import Declared
from skiplab.training.own_module.module_parts import make_parts
from skiplab.training.own_module.module_trial import run_module_trial
from skiplab.training.problems import Problems
from skiplab.training.quiet import quiet
from skiplab.training.setting_checks import wrong_counts, wrong_settings

# Nodes of train.yaml that a trial of a LightningModule has; all others build networks, tasks and data of skiplab's.
_NODES = ("trainer", "logger", "instrument", "eval_batch", "seed", "num_threads", "num_samples", "run")
_SETTINGS = ("trainer", "logger", "instrument", "num_threads", "run")
_PARTS = ("module", "data")


def module_study(
    make_module: Callable[..., pl.LightningModule],
    datamodule: Callable[..., pl.LightningDataModule] | None,
    *,
    factors: Mapping[str, Iterable[Any]],
    seeds: Iterable[int],
    metrics: Any,
    name: str | None,
    runs_dir: str | Path,
    settings: Mapping[str, Any] | None,
) -> Study:
    """Train a LightningModule once for each combination of factors and each seed; see `skiplab.study`."""
    made = {"module": ModelFactory.of(make_module, "make_module")}
    if datamodule is not None:
        made["data"] = ModelFactory.of(datamodule, "datamodule")
    grid = {factor: values_of(factor, values) for factor, values in mapping("factors", factors).items()}
    shared = {setting: plain(setting, value) for setting, value in mapping("settings", settings or {}).items()}
    if both := grid.keys() & shared:
        raise SkiplabError(f"{min(both)} is given twice; give it only once, in factors or in settings")
    for each in (*grid, *shared):
        _places(each, made)
    for factory in made.values():
        factory.check_required({*(each.partition(".")[2] or each for each in (*grid, *shared)), *factory.bound, "seed"})
    logged = Declared(_declared(metrics))
    study_name = made["module"].name if name is None else str(name)
    study_folder(Path(runs_dir), study_name)
    quiet()
    combinations = [dict(zip(grid, levels, strict=True)) for levels in itertools.product(*grid.values())]
    first, *others = values_of("seeds", seeds)
    configs = [_config(made, {**shared, **own}, first, study_name, runs_dir) for own in combinations]
    trials = [({**own, "seed": first}, config) for own, config in zip(combinations, configs, strict=True)]
    _check(trials)
    for seed in others:
        trials += [
            ({**own, "seed": seed}, _at_seed(config, seed, made))
            for own, config in zip(combinations, configs, strict=True)
        ]
    choices = {"module": made["module"].name, **({"data": made["data"].name} if "data" in made else {})}
    _train(trials, choices, logged)
    study = read_study(study_name, Path(runs_dir))
    factor, _, control, _ = find_comparison(study, None, NO_SELECTION)
    for sentence in unequal_arms(study, control, factor):
        print(sentence)
    return study


def _config(
    made: Mapping[str, ModelFactory], given: Mapping[str, Any], seed: int, study: str, runs_dir: str | Path
) -> DictConfig:
    """The configuration of a trial."""
    nodes: dict[str, dict[str, Any]] = {part: {"target": None} for part in _PARTS}
    for part, factory in made.items():
        nodes[part] = {"target": factory.import_path, "version": factory.version, **factory.bound}
    words = {"run.study": study, "run.runs_dir": str(runs_dir), "seed": seed}
    for setting, value in given.items():
        if places := _places(setting, made):
            for part, argument in places:
                nodes[part][argument] = value
        else:
            words[setting] = value
    overrides = [f"{setting}={override_text(plain(setting, value))}" for setting, value in words.items()]
    conf = str(project_dir("conf"))
    with explained(overrides), isolated_hydra(), initialize_config_dir(config_dir=conf, version_base="1.3"):
        whole = compose("train", overrides=[*overrides, "evaluator=[]"])
    problems = Problems()
    for message in (*wrong_counts(whole), *wrong_settings(whole)):
        problems.add(message)
    problems.raise_all()
    OmegaConf.set_struct(whole, False)
    kept = {node: whole[node] for node in _NODES}
    found = OmegaConf.create({**nodes, **kept, "evaluator": {}, "feature_extractor": {"_target_": None}})
    return _at_seed(found, seed, made)


def _at_seed(config: DictConfig, seed: int, made: Mapping[str, ModelFactory]) -> DictConfig:
    """The same trial with another seed, which a module or its data may take as an argument."""
    found = deepcopy(config)
    found.seed = seed
    for part, factory in made.items():
        if "seed" in factory.parameters:
            found[part].seed = seed
    if not is_of(seed, int) or seed < 0:
        raise SkiplabError(f"seed={seed!r} is invalid; valid: a whole number from 0")
    return found


def _places(name: Any, made: Mapping[str, ModelFactory]) -> list[tuple[str, str]]:
    """The parts and their arguments that a factor or setting sets; none for a setting of the trial.

    Raises:
        SkiplabError: it is neither.
    """
    if not isinstance(name, str):
        raise SkiplabError(f"{name!r} is not a factor or setting; valid: text, such as 'width' or 'trainer.max_steps'")
    part, _, argument = name.partition(".")
    if part in made and argument:
        return [(part, argument)]
    if name == "seed":
        raise SkiplabError("seed can't be a factor or setting here; use study(seeds=...) instead")
    if found := [(part, name) for part, factory in made.items() if name in factory.parameters]:
        return found
    if part in _SETTINGS and name not in ("run.study", "run.runs_dir"):
        return []
    takes = dict.fromkeys(each for factory in made.values() for each in factory.parameters)
    raise SkiplabError(
        f"{name} is no argument of the module or its data, and no setting of their trials; valid: "
        f"{', '.join(takes)}; and settings of {', '.join(_SETTINGS)}, such as trainer.max_steps"
    )


def _declared(metrics: Any) -> dict[str, Metric]:
    """The metrics by name, from declarations or from directions."""
    found = {}
    for name, given in mapping("metrics", metrics or {}).items():
        if name in (*OWN_COLUMNS, "seed", "arm"):
            raise SkiplabError(f"metrics has {name!r}, which is a column of every study; log it by another name")
        if not isinstance(given, Metric) and given not in ("higher", "lower", None):
            raise SkiplabError(
                f"metrics[{name!r}]={given!r} is invalid; valid: 'higher' or 'lower' for which values are better, None "
                "for neither, or a skiplab.metrics.Metric"
            )
        found[name] = given if isinstance(given, Metric) else Metric(label=str(name), direction=given)
    if not found:
        raise SkiplabError(
            "metrics is missing; give the metrics that the module logs and which values are better, such as "
            "metrics={'val_loss': 'lower'}"
        )
    return found


def _check(trials: Iterable[tuple[dict[str, Any], DictConfig]]) -> None:
    """Make each combination of factors once, so that an invalid one is refused before anything is trained."""
    for given, config in trials:
        if Record(Path(config.run.runs_dir), trial_key(config)).status in FINISHED:
            continue
        try:
            make_parts(config)
        except SkiplabError as error:
            raise SkiplabError(f"{error} (trial {_words(given)}; nothing was trained)") from None


def _train(trials: list[tuple[dict[str, Any], DictConfig]], choices: dict[str, str], logged: Declared) -> None:
    failed = []
    for number, (given, config) in enumerate(trials, start=1):
        told = f"[{number}/{len(trials)}] {_words(given)}"
        try:
            outcome = run_module_trial(config, choices, logged)
            print(f"{told}: {outcome.action}, {outcome.status}. {outcome.note}".rstrip(), flush=True)
        except HeldError as error:
            print(f"{told}: {error}", flush=True)
        except SkiplabError as error:
            failed.append(f"{_words(given)}: {error}")
            print(f"{told}: failed", flush=True)
    if failed:
        raise SkiplabError("\n".join([f"{len(failed)} of {len(trials)} trials failed:", *failed]))


def _words(given: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={override_text(value)}" for name, value in given.items())
