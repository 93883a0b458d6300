"""Evaluates the trained network of a record again, or with further evaluators."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.listed_options import check_nodes
from skiplab.paths import project_dir
from skiplab.records.file_names import CONFIG, RECORD, WEIGHTS
from skiplab.records.fingerprint import is_fingerprint
from skiplab.records.key import trial_key
from skiplab.records.local_paths import find_again
from skiplab.records.record import read_record
from skiplab.records.record_schema import RecordContent
from skiplab.training.build import build
from skiplab.training.components import Components
from skiplab.training.load import explained, tell_unhashed
from skiplab.training.trial import Outcome, run_trial
from skiplab.training.trust import record_config
from skiplab.training.weights import load_weights

# Nodes that say how a trained network is measured; all others belong to the record.
_MEASURES = ("evaluator", "feature_extractor", "eval_batch", "num_samples", "logger")


def evaluate_record(folder: Path, overrides: Sequence[str], config_dir: Path | None, *, trust: bool = False) -> Outcome:
    """Run evaluators on a record's weights, and add their results to the record.

    Of the record's configuration only what defines the trial and its measurements counts; how the command that trained
    it ran and where it logged doesn't.

    Args:
        folder: the record's folder, runs/KEY.
        overrides: Hydra overrides of evaluator, feature_extractor, eval_batch, num_samples or logger; and
            data.path=PLACE if the files of the data have moved.
        config_dir: a folder with options of the user's own; None for none.
        trust: whether code that isn't an option may be imported and run.

    Raises:
        SkiplabError: if the folder holds no finished record, the record needs code that isn't trusted, an override
            would change the trial itself, or the files of its data are missing or have changed.
    """
    for name in (WEIGHTS, RECORD):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    content = read_record(folder)
    tell_unhashed(folder, content)
    moved = _moved(overrides, content)
    overrides = [override for override in overrides if _name(override) not in moved]
    for override in overrides:
        node = _name(override).split(".")[0]
        if node not in _MEASURES:
            raise SkiplabError(
                f"{override} would change the trial, which is already trained; valid: overrides of "
                f"{', '.join(_MEASURES)}"
            )
    replaced = {name for name in _MEASURES if any(_name(override).startswith(name) for override in overrides)}
    config = record_config(folder, content, trust=trust, config_dir=config_dir, replaced={*replaced, "logger"})
    _check_numbers(config, folder)
    if not trust and config_dir is None and "feature_extractor" not in replaced:
        _check_extractor(config, folder)
    find_again(config, content["factors"], moved, folder)
    own = [f"num_samples={config.num_samples}"]
    own += [f"eval_batch.{name}={value}" for name, value in config.eval_batch.items()]
    own += [] if "logger" in replaced else ["logger=none"]  # where a command logs is its own affair, and no record's
    searched = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        asked = compose("train", overrides=[*own, *searched, *overrides])
    check_nodes("evaluator", asked.evaluator)
    for name in _MEASURES:
        if name in replaced or name in ("eval_batch", "num_samples", "logger"):
            config[name] = asked[name]
    config.run = asked.run
    config.run.runs_dir = str(folder.parent)
    if trial_key(config) != folder.name:
        raise SkiplabError(f"{folder} was recorded by another version of skiplab; train it again to evaluate it")

    def build_with_weights(config: DictConfig) -> Components:
        """Refuses what can't be evaluated before the record is touched."""
        with explained(folder):
            components = build(config, weights=None if trust else folder / WEIGHTS)
        load_weights(components.model, folder / WEIGHTS, content)
        return components

    return run_trial(config, content["choices"], progress=False, build_components=build_with_weights, joins=False)


def _name(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def _moved(overrides: Sequence[str], content: RecordContent) -> dict[str, str]:
    """The current places of files that the record knows by their contents, by setting."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    given = {word.key_or_group: str(word.value()) for word in parsed}
    known = content["factors"]
    return {name: place for name, place in given.items() if name == "data.path" or is_fingerprint(known.get(name))}


def _check_extractor(config: DictConfig, folder: Path) -> None:
    """Check that an extractor's path, whose files are hashed, is no folder of everything.

    Raises:
        SkiplabError: it is one.
    """
    path = config.feature_extractor.get("path")
    place = Path(path).expanduser() if isinstance(path, str) else None
    if place is not None and place.is_dir() and not (place / RECORD).is_file():
        raise SkiplabError(
            f"{folder / CONFIG}: feature_extractor.path={path} is a folder and no record; give another extractor, "
            "feature_extractor=NAME"
        )


def _check_numbers(config: DictConfig, folder: Path) -> None:
    """Check that the numbers that are passed on as overrides are numbers."""
    own = {"num_samples": config.get("num_samples"), **(config.get("eval_batch") or {})}
    if wrong := [name for name, value in own.items() if type(value) is not int]:
        raise SkiplabError(f"{folder / CONFIG}: {wrong[0]}={own[wrong[0]]} is invalid; valid: a whole number")
