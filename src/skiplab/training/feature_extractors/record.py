import hashlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.layers import weight_layers
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.records.file_names import RECORD, WEIGHTS
from skiplab.records.record import read_record
from skiplab.records.record_schema import RecordContent
from skiplab.training.load import LoadedTrial, load

_ACCURACY = "accuracy_val"  # the metric of evaluator=classification


class Record(FeatureExtractor):
    """The features of a classifier that was trained here: h(x), where its logits are W h(x) + b.

    That is the input of its last linear layer, in evaluation mode. Scores state the record's key, its data set, its
    accuracy on validation images and their number. A trial knows the record by its weights, so further evaluations of
    it change nothing.

    Source: none.
    Differs from the source: none.

    Shapes: (batch, *shape) to (batch, feature), with the shape of the record's own images.

    Args:
        path: the record's folder, runs/KEY.

    Raises:
        SkiplabError: if there is no such record, it isn't done, has no weights or no accuracy, or isn't a classifier
            whose last layer is linear.
    """

    def __init__(self, *, path: str | None) -> None:
        super().__init__()
        folder = Path(path or "").expanduser()
        if path is None or not (folder / RECORD).is_file():
            given = "null" if path is None else path
            raise SkiplabError(
                f"feature_extractor.path={given} is no record; give the folder of a finished classifier, runs/KEY"
            )
        content = _usable(folder)
        trial = load(folder)
        if not isinstance(trial.objective, CrossEntropy):
            found = type(trial.objective).__name__
            raise SkiplabError(
                f"feature_extractor.path={path} is no classifier, its objective is {found}; give the folder of a trial "
                "with objective=cross_entropy"
            )
        if content["summary"].get(_ACCURACY) is None:
            raise SkiplabError(
                f"feature_extractor.path={path} has no accuracy on validation images, which scores state; measure it, "
                f"skiplab evaluate {path} evaluator=[classification]"
            )
        self.shape = trial.data.train.shape
        self.sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        self.key, self.data = content["key"], content["choices"].get("data")
        self.accuracy = content["summary"][_ACCURACY]
        self.num_held_out = content["details"].get("classification", {}).get("num_val")
        self.classifier = trial.model
        self._seen: list[Tensor] = []
        _last_linear(folder, trial).register_forward_pre_hook(lambda _, inputs: self._seen.append(inputs[0]))
        self.eval().requires_grad_(False)

    def facts(self) -> dict[str, Any]:
        return {
            **super().facts(),
            "extractor_record": self.key,
            "extractor_data": self.data,
            "extractor_accuracy": self.accuracy,
            "extractor_num_held_out": self.num_held_out,
        }

    def forward(self, images: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch feature"]:
        self.classifier(images)
        return self._seen.pop()


def _usable(folder: Path) -> RecordContent:
    """The record's content.

    Raises:
        SkiplabError: if the trial isn't done, or its weights are missing.
    """
    content, setting = read_record(folder), f"feature_extractor.path={folder}"
    if content["status"] == "diverged":
        raise SkiplabError(f"{setting} diverged, so it has no weights; give the folder of another classifier")
    if content["status"] != "done":
        raise SkiplabError(
            f"{setting} isn't finished, its status is {content['status']}; finish it by the command that started it"
        )
    if not (folder / WEIGHTS).is_file():
        raise SkiplabError(
            f"{setting} has no {WEIGHTS}, which every trial writes that is done; take a whole copy of the record, or "
            "train it again with run.rerun=true"
        )
    return content


def _last_linear(folder: Path, trial: LoadedTrial) -> nn.Linear:
    """The layer that maps features to logits.

    Raises:
        SkiplabError: if the network ends in another layer.
    """
    example = trial.objective.example(trial.data.train.shape)
    last = weight_layers(trial.model, *example)[-1]
    with torch.no_grad():
        logits = trial.model(*example)
    if not isinstance(last.module, nn.Linear) or last.module.out_features != logits.shape[1]:
        raise SkiplabError(
            f"feature_extractor.path={folder} has no features: its last layer {last.path} is a "
            f"{type(last.module).__name__}, not a linear map to {logits.shape[1]} logits; give the folder of another "
            "classifier"
        )
    return last.module
