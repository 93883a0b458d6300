from typing import ClassVar

import torch
from PIL import Image

from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective


class SampleGrid(Evaluator):
    """A picture of samples, `samples.png`: images in a grid, or points of the plane drawn over the training points.

    Images of a network that was told their class stand in the order of the classes, `details.labels`. As many training
    images, the first ones, go to `real_images.png`. Two arms with the same seed start from the same noise.

    Source: none.
    Differs from the source: none.

    Args:
        num_samples: samples drawn, from 1; the first rows * columns images, or as many as there are, or all points, are
            shown.
        rows: rows of the grid, from 1.
        columns: columns of the grid, from 1.
        pixel_size: side of an image's pixel in the picture, in pixels.

    Raises:
        SkiplabError: if there are no samples or the grid is empty, or the data can't be shown.
    """

    metrics: ClassVar[dict[str, Metric]] = {}

    def __init__(self, *, num_samples: int, rows: int, columns: int, pixel_size: int) -> None:
        if min(rows, columns, pixel_size, num_samples) < 1:
            raise SkiplabError(
                f"evaluator.sample_grid rows={rows}, columns={columns}, pixel_size={pixel_size}, "
                f"num_samples={num_samples} is invalid; valid: whole numbers from 1"
            )
        self.num_samples, self.rows, self.columns, self.pixel_size = num_samples, rows, columns, pixel_size

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        super().check(objective, data, name)
        shape = data.train.shape
        if shape != (2,) and (len(shape) != 3 or shape[0] not in (1, 3)):
            raise SkiplabError(
                f"evaluator={name} shows images of 1 or 3 channels and points of the plane, but the data's shape is "
                f"{shape}; remove {name} from evaluator=[...]"
            )

    def evaluate(self, trained: Trained) -> Result:
        samples = trained.samples(self.num_samples)
        if samples.ndim == 2:
            # matplotlib takes a second to import, which images needn't pay
            from skiplab.evaluators.results.scatter_plot import draw_points

            picture = draw_points(trained.data.train.at(slice(None)).images, samples)
            return Result({}, pictures={"samples": picture})
        shown = min(self.rows * self.columns, len(samples))
        samples = samples[:shown]
        details = {}
        if trained.objective.num_labels:
            labels, order = trained.sample_labels(self.num_samples)[:shown].sort(stable=True)
            samples, details = samples[order], {"labels": labels.tolist()}
        real = trained.data.train.at(slice(None, shown)).images
        return Result({}, details=details, pictures={"samples": self.draw(samples), "real_images": self.draw(real)})

    def draw(self, images: torch.Tensor) -> Image.Image:
        """Images of [-1, 1], one or three channels, in a grid with one-pixel borders; empty places are gray."""
        columns = min(self.columns, len(images))
        rows = -(-len(images) // columns)
        levels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
        levels = levels.repeat_interleave(self.pixel_size, dim=2).repeat_interleave(self.pixel_size, dim=3)
        levels = torch.nn.functional.pad(levels, (1, 1, 1, 1), value=128)
        levels = torch.nn.functional.pad(levels, (0, 0) * 3 + (0, rows * columns - len(levels)), value=128)
        _, channels, height, width = levels.shape
        grid = levels.view(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
        grid = grid.reshape(rows * height, columns * width, channels)
        return Image.fromarray(grid.squeeze(2).numpy() if channels == 1 else grid.numpy())
