"""ResNet-20 on CIFAR-10 by a bare PyTorch loop, which imports nothing of skiplab: is its test error ours?

    python benchmarks/bare_resnet20.py FOLDER --trials experiments/he2015_resnet/cifar10/trials.csv

FOLDER holds the hub's parquet files of CIFAR-10. The recipe is that of the profile he2015_resnet/cifar10: batch 128,
SGD with momentum 0.9, weight decay 1e-4 and rate 0.1, divided by 10 at half and at three quarters of the steps, He
initialization of the convolutions, shortcuts padded with zeros, images flipped, padded by 4 and cropped, bf16 autocast.
The last layer starts as PyTorch's does, that of the profile as He et al. draw it. Prints the test error of each seed,
and with --trials those of the published trials and Welch's interval of the difference.
"""

import argparse
import csv
import io
import statistics
import time
from pathlib import Path

import numpy
import pyarrow.parquet
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.stride = width_out // width_in
        self.padding = (width_out - width_in) // 2
        self.first = nn.Conv2d(width_in, width_out, 3, self.stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width_out)
        self.second = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        update = self.second_norm(self.second(F.relu(self.first_norm(self.first(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(x + update)


def resnet20() -> nn.Sequential:
    widths = [16] * 3 + [32] * 3 + [64] * 3
    blocks = [Block(before, after) for before, after in zip([16, *widths], widths, strict=False)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    network = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return network


def split(folder: Path, name: str) -> tuple[Tensor, Tensor]:
    images, labels = [], []
    for file in sorted(folder.rglob(f"{name}-*.parquet")):
        table = pyarrow.parquet.read_table(file)
        labels += table["label"].to_pylist()
        images += [numpy.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in table["img"].to_pylist()]
    return torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def scaled(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def augmented(images: Tensor) -> Tensor:
    """Flip half of the images, pad all with zeros and cut 32x32 pixels out anywhere."""
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
    padded = F.pad(images, (4, 4, 4, 4))
    corners = torch.randint(0, 9, (len(images), 2)).tolist()
    return torch.stack([image[:, y : y + 32, x : x + 32] for image, (y, x) in zip(padded, corners, strict=True)])


def test_error(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.eval()
    with torch.no_grad():
        wrong = sum(
            int((network(scaled(batch)).argmax(1) != truth).sum())
            for batch, truth in zip(images.split(500), labels.split(500), strict=True)
        )
    return wrong / len(labels)


def trained(images: Tensor, labels: Tensor, steps: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = resnet20().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4], gamma=0.1)
    order = torch.cat([torch.randperm(len(images)) for _ in range(steps * 128 // len(images) + 1)])
    for batch in order.split(128)[:steps]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(network(augmented(scaled(images[batch]))), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network


def published_errors(path: Path) -> list[float]:
    with path.open(newline="", encoding="utf-8") as file:
        trials = [row for row in csv.DictReader(file) if (row["connection"], row["depth"]) == ("identity", "9")]
    return [1 - float(row["accuracy_val"]) for row in trials]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=Path, help="trials.csv of the published profile, to compare with")
    given = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = split(given.folder, "train")
    test_images, test_labels = split(given.folder, "test")
    errors = []
    for seed in range(given.seeds):
        started = time.process_time()
        errors.append(test_error(trained(images, labels, given.steps, seed), test_images, test_labels))
        print(f"seed {seed}: test error {errors[-1]:.2%}, {time.process_time() - started:.0f} s", flush=True)
    print(f"bare PyTorch: {statistics.mean(errors):.2%}, standard deviation {statistics.stdev(errors):.2%}")
    if given.trials is not None:
        ours = published_errors(given.trials)
        interval = scipy.stats.ttest_ind(ours, errors, equal_var=False).confidence_interval(0.95)
        print(f"skiplab: {statistics.mean(ours):.2%}, standard deviation {statistics.stdev(ours):.2%}")
        print(f"difference, 95% by Welch: {interval.low:+.2%} to {interval.high:+.2%}")


if __name__ == "__main__":
    main()
