"""What a trial is to be measured with, and what its record still lacks; needs no torch, so that skipping is quick."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig

from skiplab.metrics import missing_text
from skiplab.records.file_names import EVALUATION_FILES, MEASUREMENTS, TRAINING_FILES
from skiplab.records.finished_files import explain_truncated, truncated_files
from skiplab.records.local_paths import by_contents
from skiplab.records.plain_config import plain
from skiplab.records.record_schema import RecordContent
from skiplab.records.statuses import FINISHED


@dataclass(frozen=True)
class Plan:
    """The measurements of a trial, as its record keeps them.

    folder: the record's folder.
    instruments: each instrument's settings.
    evaluators: each evaluator's settings, and all else that its result depends on.
    """

    folder: Path
    instruments: Mapping[str, dict[str, Any]]
    evaluators: Mapping[str, dict[str, Any]]

    @classmethod
    def of(cls, config: DictConfig, folder: Path) -> "Plan":
        shared = {name: _settings(config[name]) for name in ("eval_batch", "feature_extractor")}
        return cls(
            folder,
            instruments={name: _settings(node) for name, node in enabled(config.instrument).items()},
            evaluators={
                name: {"settings": _settings(node), **shared} for name, node in enabled(config.evaluator).items()
            },
        )

    def is_complete(self, content: RecordContent) -> bool:
        """Whether the trial is finished and has the results of all instruments and evaluators."""
        lacking = self.missing_evaluators(content) or self.failed_instruments(content)
        return content["status"] in FINISHED and not lacking

    def failed_instruments(self, content: RecordContent) -> list[str]:
        """Instruments that recorded their readings, and failed to summarize them."""
        return [name for name in self.instruments if f"instrument {name}" in content.get("failed", {})]

    def missing_evaluators(self, content: RecordContent) -> list[str]:
        """Evaluators without a result in the record; a diverged trial has no weights to evaluate."""
        if content["status"] == "diverged":
            return []
        valid = self.valid_evaluators(content)
        return [name for name, planned in self.evaluators.items() if valid.get(name) != planned]

    def valid_evaluators(self, content: RecordContent) -> dict[str, Any]:
        """The evaluators whose results are whole, as the record keeps them.

        None is valid if measurements.csv was truncated; if a picture was, its evaluator isn't.
        """
        lost = {name for name, _ in truncated_files(self.folder, content["files"], EVALUATION_FILES)}
        if MEASUREMENTS.file in lost:
            return {}
        drew = {name: evaluator for evaluator, names in content["pictures"].items() for name in names}
        invalid = {drew.get(name) for name in lost}
        return {name: planned for name, planned in content["evaluators"].items() if name not in invalid}

    def remarks(self, content: RecordContent) -> str:
        """What a user must know of a finished trial: why it diverged, and which numbers are missing and why."""
        found = [content["diverged_because"], missing_text(content["missing"]), self._unmeasured(content)]
        return "; ".join(each for each in found if each)

    def _unmeasured(self, content: RecordContent) -> str:
        """What can't be measured without training again; empty if there is nothing."""
        recorded = content["instruments"]
        names = [name for name, planned in self.instruments.items() if recorded.get(name) != planned]
        lost = [each for each in explain_truncated(self.folder, content) if each[0] in TRAINING_FILES]
        without = [f"trained without {', '.join(names)} as set now; run.rerun=true trains it again"] if names else []
        return ". ".join([*without, *(f"{name}: {reason}" for name, reason in lost)])


def enabled(options: DictConfig) -> dict[str, DictConfig]:
    """The enabled instruments or evaluators; a preset may hold settings of others, which have no effect then."""
    nodes = cast(dict[str, DictConfig], dict(options.items()))
    return {name: node for name, node in nodes.items() if "_target_" in node}


def _settings(node: DictConfig) -> dict[str, Any]:
    """A node's settings, with the contents of local files in place of their paths."""
    return by_contents(plain(node))
