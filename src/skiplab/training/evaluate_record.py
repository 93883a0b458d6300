"""Measure a saved record again, or with evaluators that it hasn't seen."""

import json
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from skiplab.errors import SkiplabError
from skiplab.fingerprint import is_fingerprint
from skiplab.paths import project_dir
from skiplab.training.key import trial_key
from skiplab.training.local_paths import find_again
from skiplab.training.trial import Outcome, run_trial

# Nodes that say how a trained model is measured; all others are the record's.
_MEASURES = ("evaluator", "feature_extractor", "probe", "num_samples", "logger")


def evaluate_record(folder: Path, overrides: Sequence[str], config_dir: Path | None) -> Outcome:
    """Run the evaluators that the overrides ask for on a record's weights, and add what they find to the record.

    Args:
        folder: the record, runs/KEY.
        overrides: Hydra overrides of evaluator, feature_extractor, probe, num_samples or logger; and data.path=PLACE,
            where the files of its data were moved.
        config_dir: a folder of a user's own options; None for none.

    Raises:
        SkiplabError: where the folder holds no finished record, an override would change the trial itself,
            or the files of its data are missing or others.
    """
    if not (folder / "weights.safetensors").exists():
        raise SkiplabError(f"{folder} holds no weights; give the folder of a finished trial, runs/KEY")
    config = OmegaConf.load(folder / "config.yaml")
    content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    moved = {word.key_or_group: word.value() for word in OverridesParser.create().parse_overrides(overrides)}
    moved = {
        name: str(place)
        for name, place in moved.items()
        if name == "data.path" or is_fingerprint(content["factors"].get(name))
    }
    overrides = [override for override in overrides if override.lstrip("+").split("=")[0] not in moved]
    for override in overrides:
        node = override.lstrip("+~").split("=")[0].split(".")[0]
        if node not in _MEASURES:
            raise SkiplabError(
                f"{override} would change the trial, whose weights are measured as they are; valid: overrides of "
                f"{', '.join(_MEASURES)}"
            )
    find_again(config, content["factors"], moved, folder)
    own = [f"num_samples={config.num_samples}"]
    own += [f"probe.{name}={value}" for name, value in config.probe.items()]
    searched = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        asked = compose("train", overrides=[*own, *searched, *overrides])
    for name in _MEASURES:
        if any(override.lstrip("+~").startswith(name) for override in overrides) or name in ("probe", "num_samples"):
            config[name] = asked[name]
    config.run.runs_dir = str(folder.parent)
    if trial_key(config) != folder.name:
        raise SkiplabError(f"{folder} was recorded by another version of skiplab; train it again to measure it anew")
    return run_trial(config, content["choices"], progress=False)
