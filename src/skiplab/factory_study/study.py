"""A small study of a network of one's own, from Python."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from torch import nn

from skiplab.analysis.study.study import Study, read_study
from skiplab.cli.train import train
from skiplab.configuration.override_text import override_text, plain
from skiplab.errors import SkiplabError
from skiplab.factory_study.arguments import mapping, values_of
from skiplab.factory_study.factory import ModelFactory
from skiplab.factory_study.given_data import Data, keep_data
from skiplab.factory_study.module_study import module_study
from skiplab.paths import project_dir

_NAME = re.compile(r"[~+]*[A-Za-z_][\w./@:-]*", re.ASCII)
_SIZES = ("depth", "width")  # settings of a trial that are passed to a factory with parameters of these names
# Settings that are arguments of `study`, and which.
_ARGUMENTS = {
    "seed": "seeds",
    "data": "data",
    "backbone": "model_factory",
    "backbone.target": "model_factory",
    "run.study": "name",
    "run.runs_dir": "runs_dir",
}


def study(
    model_factory: Callable[..., nn.Module] | None = None,
    data: str | Data | None = None,
    *,
    make_module: Callable[..., pl.LightningModule] | None = None,
    datamodule: Callable[..., pl.LightningDataModule] | None = None,
    factors: Mapping[str, Iterable[Any]],
    seeds: Iterable[int] = (0, 1, 2),
    metrics: Mapping[str, Any] | None = None,
    name: str | None = None,
    runs_dir: str | Path = "runs",
    settings: Mapping[str, Any] | None = None,
) -> Study:
    """Train a network or LightningModule of your own once for each combination of factors and each seed.

    Each trial leaves a record, so another call skips the finished ones, and `skiplab table`, `report` and `evaluate`
    work on them. The network runs as with backbone=external: its shortcuts are found, and those that are additions are
    replaced by the trial's connection. If the file of the factory changes, its trials are new ones.

    Or give make_module, with what trains it: the module's own optimizers, losses and data, one trial after the other.
    Batches and noise are then a function of the seed and the step, and an interrupted trial resumes bit-equal; which
    weights arms start from is up to the module, and the tables say where shared ones differ.

    Args:
        model_factory: builds the network: a function or class at the top level of a module that other processes can
            import, or a functools.partial of one. Its arguments may be factors and settings.
        data: an option of the axis `data`, such as 'digits'; or images of your own: an array or tensor of bytes, or of
            numbers in [-1, 1]; (images, labels); a Hugging Face dataset; a torch Dataset; {'train': ..., 'val': ...} of
            these; or a LightningDataModule, of which the data sets behind its two loaders count. They are kept in
            RUNS_DIR/data, and a trial is known by what they hold; see the option `arrays`.
        make_module: in place of model_factory and data, builds a pytorch_lightning.LightningModule.
        datamodule: builds its LightningDataModule; None where the module has its data itself.
        factors: the values of each factor, all different. A factor is an argument of the model factory, or any axis or
            setting of a trial, such as connection, depth or 'optimizer.lr'; of a module, an argument of make_module or
            of datamodule.
        seeds: the seeds of the trials, whole numbers from 0.
        metrics: of a module, what it logs and is compared in: by name 'lower' or 'higher' for which values are better,
            or a skiplab.metrics.Metric. With the last weights, it is validated and tested once more for them.
        name: the name of the study; by default that of the factory.
        runs_dir: the folder of the records.
        settings: what all trials share, such as {'trainer.max_steps': 200, 'backbone.level_scale': 1000}.

    Returns:
        The study, which can be asked for its trials, table, verdicts, figures and report.

    Raises:
        SkiplabError: an argument is invalid, before anything is trained; or trials failed.
    """
    if make_module is not None:
        if model_factory is not None or data is not None:
            raise SkiplabError("give either make_module and datamodule, or model_factory and data, not both")
        return module_study(
            make_module,
            datamodule,
            factors=factors,
            seeds=seeds,
            metrics=metrics,
            name=name,
            runs_dir=runs_dir,
            settings=settings,
        )
    if model_factory is None or data is None or datamodule is not None or metrics is not None:
        raise SkiplabError(
            "study needs model_factory and data, such as study(Net, 'digits', ...), or make_module and metrics, with a "
            "datamodule if the module has no data itself"
        )
    factory = ModelFactory.of(model_factory)
    grid = {factor: values_of(factor, values) for factor, values in mapping("factors", factors).items()}
    shared = {setting: plain(setting, value) for setting, value in mapping("settings", settings or {}).items()}
    for repeated in (grid.keys() & shared, grid.keys() & factory.bound, shared.keys() & factory.bound):
        if repeated:
            raise SkiplabError(
                f"{min(repeated)} is given twice; give it only once, in factors, settings or functools.partial"
            )
    shared |= factory.bound
    for each in (*grid, *shared):
        _check_name(each, factory)
    factory.check_required({*grid, *shared})
    study_name = factory.name if name is None else name
    words = {
        "backbone": "external",
        "backbone.target": factory.import_path,
        "backbone.version": factory.version,
        **({"data": override_text(data)} if isinstance(data, str) else {}),
    }
    for setting, value in shared.items():
        words |= _overrides(setting, override_text(value), factory)
    for factor, values in {"seed": values_of("seeds", seeds), **grid}.items():
        words |= _overrides(factor, ",".join(map(override_text, values)), factory)
    words["run.study"] = override_text(plain("name", study_name))
    words["run.runs_dir"] = override_text(plain("runs_dir", runs_dir))
    if not isinstance(data, str):
        words |= {"data": "arrays", "data.path": override_text(str(keep_data(data, Path(runs_dir))))}
    train(["-m", *(f"{setting}={text}" for setting, text in words.items())])
    return read_study(study_name, Path(runs_dir))


def _check_name(name: Any, factory: ModelFactory) -> None:
    """Refuse what is no name of a factor or setting, and names with two meanings."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SkiplabError(
            f"{name!r} is not a factor or setting; valid: arguments of the model factory, axes and settings, with the "
            "letters a to z, digits, _ and dots"
        )
    if name.lstrip("~+") in _ARGUMENTS:
        raise SkiplabError(
            f"{name} can't be a factor or setting here; use study({_ARGUMENTS[name.lstrip('~+')]}=...) instead"
        )
    if name in factory.parameters and name in _trial_settings() and name not in _SIZES:
        raise SkiplabError(
            f"{name} is both an argument of the model factory and an axis or setting of every trial; rename the "
            f"argument, such as model_{name}"
        )


@cache
def _trial_settings() -> frozenset[str]:
    """The axes and settings of every trial."""
    table = OmegaConf.load(project_dir("conf") / "train.yaml")
    assert isinstance(table, DictConfig)
    axes = [next(iter(each)) for each in table.pop("defaults") if isinstance(each, DictConfig)]
    return frozenset(map(str, (*axes, *table)))


def _overrides(name: str, text: str, factory: ModelFactory) -> dict[str, str]:
    """The overrides that set a factor or a setting, by what they set."""
    if name not in factory.parameters:
        return {name: text}
    argument = f"+backbone.arguments.{name}"
    return {name: text, argument: f"${{{name}}}"} if name in _SIZES else {argument: text}
