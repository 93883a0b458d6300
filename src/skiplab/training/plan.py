"""What a record still lacks of what a configuration asks for; needs no torch, so that skipping is quick."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.metrics import missing_text
from skiplab.records.file_names import EVALUATION_FILES, MEASUREMENTS, TRAINING_FILES
from skiplab.records.local_paths import by_contents
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import RecordContent
from skiplab.records.statuses import FINISHED
from skiplab.records.truncation import explain_truncated, truncated_files


def chosen(options: DictConfig) -> dict[str, DictConfig]:
    """The instruments or evaluators of a list; a preset may hold settings of others, which say nothing then."""
    return {str(name): node for name, node in options.items() if "_target_" in node}


def asked_instruments(config: DictConfig) -> dict[str, Any]:
    """Each instrument's settings, as a record keeps them."""
    return {name: _settings(node) for name, node in chosen(config.instrument).items()}


def asked_evaluators(config: DictConfig) -> dict[str, Any]:
    """Each evaluator's settings with all else that its result depends on, as a record keeps them."""
    shared = {name: _settings(config[name]) for name in ("eval_batch", "feature_extractor")}
    settings = {name: _settings(node) for name, node in chosen(config.evaluator).items()}
    return {name: {"settings": node, **shared} for name, node in settings.items()}


def _settings(node: DictConfig) -> dict[str, Any]:
    """Resolved, with what lies at local paths in their place."""
    return by_contents(plain(node))


def missing_evaluators(config: DictConfig, content: RecordContent) -> list[str]:
    """Evaluators that the record has no result of; a diverged trial has no weights to evaluate."""
    if content["status"] == "diverged":
        return []
    kept = kept_evaluators(_folder(config, content), content)
    return [name for name, asked in asked_evaluators(config).items() if kept.get(name) != asked]


def kept_evaluators(folder: Path, content: RecordContent) -> dict[str, Any]:
    """What the record was measured with, less what measures again: all, where their table was cut off, else whoever
    drew a picture that was."""
    lost = {name for name, _ in truncated_files(folder, content["files"], EVALUATION_FILES)}
    if MEASUREMENTS.file in lost:
        return {}
    drew = {name: evaluator for evaluator, names in content["pictures"].items() for name in names}
    return {
        name: asked for name, asked in content["evaluators"].items() if name not in {drew.get(each) for each in lost}
    }


def missing_instruments(config: DictConfig, content: RecordContent) -> list[str]:
    """Instruments that weren't on, or were otherwise set, when the record was trained."""
    kept = content["instruments"]
    return [name for name, asked in asked_instruments(config).items() if kept.get(name) != asked]


def nothing_left(config: DictConfig, content: RecordContent) -> bool:
    """Whether the trial is finished with all its evaluators."""
    return content["status"] in FINISHED and not missing_evaluators(config, content)


def remarks(config: DictConfig, content: RecordContent) -> str:
    """What has to be known of a finished trial: why it diverged, which numbers are missing and why."""
    found = [content["diverged_because"], missing_text(content["missing"]), unmeasured(config, content)]
    return "; ".join(each for each in found if each)


def unmeasured(config: DictConfig, content: RecordContent) -> str:
    """Sentences on what can't be had without training again; empty where there is nothing."""
    names = missing_instruments(config, content)
    lost = [each for each in explain_truncated(_folder(config, content), content) if each[0] in TRAINING_FILES]
    told = [f"trained without {', '.join(names)} as set now; run.rerun=true trains it again"] if names else []
    return ". ".join([*told, *(f"{name}: {reason}" for name, reason in lost)])


def _folder(config: DictConfig, content: RecordContent) -> Path:
    return Path(config.run.runs_dir) / content["key"]
