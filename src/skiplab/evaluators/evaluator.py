"""The interface of an evaluator: what it measures of a trained model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, Literal

import torch
from PIL import Image
from torch import Tensor, nn
from typing_extensions import TypeVar

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch, inputs_per_call
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.samplers.sampler import Sampler
from skiplab.seeding import keyed_generator

SplitName = Literal["train", "val"]
# What the network was trained to do. An evaluator of other networks than denoisers names it: Evaluator[CrossEntropy].
Task = TypeVar("Task", bound=Objective, default=Denoising)


@dataclass
class Trained(Generic[Task]):
    """A trained model, and everything that it is measured against. Expensive parts are computed once, when needed.

    make_untrained: builds the same network at its initial weights.
    make_extractor: builds the feature extractor.
    eval_batch: the images, times and noise at which losses are measured.
    weights: which weights the model has, the last or their average over training.
    """

    model: nn.Module
    make_untrained: Callable[[], nn.Module]
    objective: Task
    data: Dataset
    sampler: Sampler
    make_extractor: Callable[[], FeatureExtractor]
    eval_batch: EvalBatch
    seed: int
    device: torch.device
    weights: Literal["last", "average"] = "last"
    _samples: dict[int, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def extractor(self) -> FeatureExtractor:
        return self.make_extractor().for_shape(self.data.train.shape).to(self.device)

    @cached_property
    def untrained(self) -> nn.Module:
        return self.make_untrained().to(self.device).eval()

    def split(self, name: SplitName) -> Split:
        return self.data.train if name == "train" else self.data.val

    def samples(self: "Trained[Denoising]", count: int) -> Tensor:
        """Images drawn by the trial's sampler, of the classes `sample_labels`. Every arm starts from the same noise."""
        if count not in self._samples:
            generator, shape = keyed_generator(self.seed, "samples", device=self.device), self.data.train.shape
            drawn = [
                self.sampler.draw(self.model, self.objective, (len(part), *shape), part, generator)
                for part in self.sample_labels(count).split(inputs_per_call(self.device, shape))
            ]
            self._samples[count] = torch.cat(drawn)
        return self._samples[count]

    def sample_labels(self, count: int) -> Tensor:
        """The samples' labels, drawn from the training split. Networks without label conditioning ignore them."""
        draw = keyed_generator(self.seed, "sample labels")
        indices = torch.randint(len(self.data.train), (count,), generator=draw)
        return self.data.train.labels.cpu()[indices].to(self.device)


@dataclass(frozen=True)
class Result:
    """What an evaluator found.

    summary: the metrics' values, by name.
    measurements: the values that its charts draw.
    details: how it was measured, stated beside the values.
    pictures: images to save, by file name without ending.
    missing: for each metric without a value, the reason. Values that aren't finite get theirs automatically.
    """

    summary: dict[str, float]
    _: KW_ONLY
    measurements: Sequence[Measurement] = ()
    details: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class Evaluator(Generic[Task]):
    """Measures a trained model in evaluation mode.

    It draws random numbers from its own generators only.

    metrics: the summary values, by name.
    charts: the figures. A chart has the name of its measurements; an 'outcome' chart has the name of its metric.
    measures: the objective of the networks that it measures; the same class as in `Evaluator[...]`.
    needs_extractor: whether it measures distances between features.
    """

    metrics: ClassVar[dict[str, Metric]]
    charts: ClassVar[dict[str, Chart]] = {}
    measures: ClassVar[type[Objective]] = Denoising
    needs_extractor: ClassVar[bool] = False

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, what this evaluator cannot measure. `name` is its option.

        Raises:
            SkiplabError: if the objective is of another kind.
        """
        if not isinstance(objective, self.measures):
            found = type(objective).__name__
            others = {"CrossEntropy": "evaluator=[classification]", "Denoising": "evaluator=[denoising_loss]"}
            raise SkiplabError(
                f"evaluator={name} measures {self.measures.__name__} networks, but the objective is {found}; "
                f"use {others.get(found, 'your own evaluators')} instead"
            )

    def evaluate(self, trained: Trained[Task]) -> Result:
        """Measure the trained model.

        Raises:
            UnmeasurableError: if no number can be computed from the network's outputs.
        """
        raise NotImplementedError(f"{type(self).__name__} must define evaluate(trained)")
