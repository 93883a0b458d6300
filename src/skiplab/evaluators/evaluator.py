"""The interface of an evaluator: what it measures of a trained model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch, at_once
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.samplers.sampler import Sampler
from skiplab.seeding import keyed_generator


@dataclass
class Trained:
    """A trained model and all that it may be measured against; what is dear is computed once.

    make_untrained: builds the same network at its initial weights.
    make_extractor: builds the feature extractor.
    eval_batch: the images, times and noise at which losses are measured.
    """

    model: nn.Module
    make_untrained: Callable[[], nn.Module]
    objective: Objective
    data: Dataset
    sampler: Sampler
    make_extractor: Callable[[], FeatureExtractor]
    eval_batch: EvalBatch
    seed: int
    device: torch.device
    _samples: dict[int, Tensor] = field(default_factory=dict)

    @cached_property
    def extractor(self) -> FeatureExtractor:
        return self.make_extractor().for_shape(self.data.train.shape).to(self.device)

    @cached_property
    def untrained(self) -> nn.Module:
        return self.make_untrained().to(self.device).eval()

    def split(self, name: str) -> Split:
        return {"train": self.data.train, "val": self.data.val}[name]

    def samples(self, count: int) -> Tensor:
        """Images drawn by the trial's sampler; noise and labels that they start from are the same in every arm.

        Labels are drawn from the training split, and used where the network is told them.
        """
        if count not in self._samples:
            draw = keyed_generator(self.seed, "sample labels")
            chosen = torch.randint(len(self.data.train), (count,), generator=draw)
            labels = self.data.train.labels.cpu()[chosen].to(self.device)
            generator = keyed_generator(self.seed, "samples", device=self.device)
            drawn = [
                self.sampler.draw(self.model, self.objective, (len(part), *self.data.train.shape), part, generator)
                for part in labels.split(at_once(self.device))
            ]
            self._samples[count] = torch.cat(drawn)
        return self._samples[count]


@dataclass(frozen=True)
class Result:
    """What an evaluator found: summary values, values of its charts, facts to state beside them, pictures by stem.

    missing: why a metric has no value in the summary, by its name; of one that is no finite number there is a reason.
    """

    summary: dict[str, float]
    _: KW_ONLY
    measurements: Sequence[Measurement] = ()
    details: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class Evaluator:
    """Measures a trained model, in evaluation mode, without gradients unless it asks for them.

    It draws from generators of its own.

    metrics: declares the summary values.
    charts: declares the figures, by the names that measurements and, for an 'outcome', metrics bear.
    measures: the kind of objective whose networks it measures.
    needs_extractor: whether it measures in the feature extractor's features.
    """

    metrics: ClassVar[dict[str, Metric]]
    charts: ClassVar[dict[str, Chart]] = {}
    measures: ClassVar[type[Objective]] = Denoising
    needs_extractor: ClassVar[bool] = False

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, what this evaluator (its option is `name`) can't measure.

        Raises:
            SkiplabError: where the objective is of another kind.
        """
        if not isinstance(objective, self.measures):
            asked = type(objective).__name__
            others = {"CrossEntropy": "evaluator=[classification]", "Denoising": "evaluator=[denoising_loss]"}
            raise SkiplabError(
                f"evaluator={name} measures {self.measures.__name__} networks, and the objective is {asked}; "
                f"take {others.get(asked, 'evaluators of your own')}"
            )

    def evaluate(self, trained: Trained) -> Result:
        """Measure it.

        Raises:
            UnmeasurableError: where what the network gives allows no number (see `missing`).
        """
        raise NotImplementedError(f"{type(self).__name__} must define evaluate(trained)")
