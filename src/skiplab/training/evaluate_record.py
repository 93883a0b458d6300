"""Measure a saved record again, or with evaluators that it hasn't seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.listed_options import check_nodes
from skiplab.paths import project_dir
from skiplab.records.fingerprint import is_fingerprint
from skiplab.records.key import trial_key
from skiplab.records.local_paths import find_again
from skiplab.training.load import bring_back, read_content
from skiplab.training.trial import Outcome, run_trial
from skiplab.training.trust import record_config

# Nodes that say how a trained model is measured; all others are the record's.
_MEASURES = ("evaluator", "feature_extractor", "eval_batch", "num_samples", "logger")


def evaluate_record(folder: Path, overrides: Sequence[str], config_dir: Path | None, *, trust: bool = False) -> Outcome:
    """Run the evaluators that the overrides ask for on a record's weights, and add what they find to the record.

    Args:
        folder: the record, runs/KEY.
        overrides: Hydra overrides of evaluator, feature_extractor, eval_batch, num_samples or logger; and
            data.path=PLACE,
            where the files of its data were moved.
        config_dir: a folder of a user's own options; None for none.
        trust: whether what the record asks for that is no option may be imported and made.

    Raises:
        SkiplabError: where the folder holds no finished record, asks for code that isn't trusted, an override would
            change the trial itself, or the files of its data are missing or others.
    """
    if not (folder / "weights.safetensors").exists():
        raise SkiplabError(f"{folder} holds no weights; give the folder of a finished trial, runs/KEY")
    content = read_content(folder)
    moved = _moved(overrides, content)
    overrides = [override for override in overrides if _name(override) not in moved]
    for override in overrides:
        node = _name(override).split(".")[0]
        if node not in _MEASURES:
            raise SkiplabError(
                f"{override} would change the trial, whose weights are measured as they are; valid: overrides of "
                f"{', '.join(_MEASURES)}"
            )
    replaced = {name for name in _MEASURES if any(_name(override).startswith(name) for override in overrides)}
    config = record_config(folder, trust=trust, config_dir=config_dir, replaced=replaced)
    _check_numbers(config, folder)
    find_again(config, content["factors"], moved, folder)
    own = [f"num_samples={config.num_samples}"]
    own += [f"eval_batch.{name}={value}" for name, value in config.eval_batch.items()]
    searched = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        asked = compose("train", overrides=[*own, *searched, *overrides])
    check_nodes("evaluator", asked.evaluator)
    for name in _MEASURES:
        if name in replaced or name in ("eval_batch", "num_samples"):
            config[name] = asked[name]
    config.run.runs_dir = str(folder.parent)
    config.run.rerun = False  # it may have been trained anew once; now it is measured
    config.run.claims = None  # of the study, which was given them when the trial joined it
    if trial_key(config) != folder.name:
        raise SkiplabError(f"{folder} was recorded by another version of skiplab; train it again to measure it anew")
    bring_back(config, content, folder)  # refuses what can't be measured before the record is touched
    return run_trial(config, content["choices"], progress=False)


def _name(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def _moved(overrides: Sequence[str], content: Mapping[str, Any]) -> dict[str, str]:
    """Where files lie now that the record knows by their contents, by the setting that names them."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    given = {word.key_or_group: str(word.value()) for word in parsed}
    known = content["factors"]
    return {name: place for name, place in given.items() if name == "data.path" or is_fingerprint(known.get(name))}


def _check_numbers(config: DictConfig, folder: Path) -> None:
    """Refuse a record whose own overrides wouldn't be numbers."""
    own = {"num_samples": config.get("num_samples"), **(config.get("eval_batch") or {})}
    if wrong := [name for name, value in own.items() if type(value) is not int]:
        raise SkiplabError(f"{folder / 'config.yaml'}: {wrong[0]}={own[wrong[0]]} is invalid; valid: a whole number")
