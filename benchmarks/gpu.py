"""What a step costs on a GPU: a small network's against a Lightning loop by hand, a large one's over its convolutions.

    python benchmarks/gpu.py ROUNDS

The digits U-Net (width 16, depth 8, batch 128): a step of a trial, with and without captured steps and instruments, and
of a Lightning module as people write it, in turns. The U-Net of DDPM (35.7 million parameters, batch 256, bf16): the
rate of a captured step as a share of the rate at which its own convolutions run one by one, and where its time goes.
"""

import itertools
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from functools import partial

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from judged import judged
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from skiplab.objectives.training_batch import TrainingBatch
from skiplab.paths import project_dir
from skiplab.training import trainer
from skiplab.training.build import build
from skiplab.training.factory import factory
from skiplab.training.gpu.captured_step import CapturedStep, DeviceRates, fuse
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

SMALL = (
    *("depth=8", "batch_size=128", "trainer=gpu"),
    *("evaluator=[]", "logger=none", "run.checkpoint_every_steps=1000000"),
)
LARGE = (
    *("data=patches", "data.size=32", "feature_extractor=raw", "trainer=gpu", "trainer.precision=bf16-mixed"),
    *("backbone=ddpm_unet", "shortcut=projection", "norm.num_groups=32", "width=128", "depth=22", "batch_size=256"),
)
FIRST, LAST = 20, 120  # steps that the clock is read at
FASTER, SHARE = 4, 0.5


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        whole = compose("train", [*overrides])
    return OmegaConf.masked_copy(whole, [name for name in whole if name != "hydra"])


class AsPeopleWriteIt(pl.LightningModule):
    """Epsilon prediction on the cosine schedule, images on the device, Adam as it comes."""

    def __init__(self, model: nn.Module, images: torch.Tensor, config: DictConfig) -> None:
        super().__init__()
        self.model, self.images, self.config = model, images.cuda(), config

    def train_dataloader(self):
        return range(self.trainer.max_steps)

    def training_step(self, batch, index):
        x = self.images[torch.randint(len(self.images), (self.config.batch_size,), device=self.device)]
        level, noise = 0.01 + 0.98 * torch.rand(len(x), device=self.device), torch.randn_like(x)
        angle = (level * torch.pi / 2)[:, None, None, None]
        return F.mse_loss(self.model(angle.cos() * x + angle.sin() * noise, level), noise)

    def configure_optimizers(self):
        return torch.optim.Adam(self.model.parameters(), lr=self.config.optimizer.lr)


class Clock(pl.Callback):
    """Seconds a step between two of them, the device waited for at both."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        if batch in (FIRST, LAST):
            torch.cuda.synchronize()
            self.marks.append(time.monotonic())

    @property
    def seconds(self) -> float:
        first, last = self.marks
        return (last - first) / (LAST - FIRST)


def by_hand() -> float:
    """A step of a Lightning loop without logger, checkpoints and other callbacks."""
    config, clock = configuration(*SMALL), Clock()
    parts = build(config)
    module = AsPeopleWriteIt(parts.model.train(), parts.data.train.at(slice(None)).images, config)
    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    pl.Trainer(accelerator="gpu", devices=1, max_steps=LAST + 1, callbacks=[clock], **off).fit(module)
    return clock.seconds


def in_trial(*overrides: str) -> float:
    """A step of a trial."""
    clock, make = Clock(), trainer.make_trainer
    trainer.make_trainer = lambda callbacks, *rest, **own: make([clock, *callbacks], *rest, **own)
    try:
        with tempfile.TemporaryDirectory() as folder:
            steps = (f"trainer.max_steps={LAST + 1}", f"run.runs_dir={folder}/runs")
            run_trial(configuration(*SMALL, *steps, *overrides), {}, progress=False)
    finally:
        trainer.make_trainer = make
    return clock.seconds


def small(rounds: int) -> list[str]:
    """Compare steps of the digits U-Net."""
    ways = {
        "Lightning by hand": by_hand,
        "captured": partial(in_trial, "instrument=[]"),
        "not captured": partial(in_trial, "instrument=[]", "run.cuda_graph=false"),
        "captured, default instruments": in_trial,
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first round pays for imports and allocations
        for way, function in ways.items():
            taken[way].append(function())
    for way, seconds in taken.items():
        print(f"{way}: {1000 * statistics.median(seconds[1:]):.2f} ms a step", flush=True)
    ratios = {way: [a / b for a, b in zip(taken["Lightning by hand"], taken[way], strict=True)][1:] for way in ways}
    judged("Lightning by hand over captured with instruments", ratios["captured, default instruments"], at_least=1)
    return judged("Lightning by hand over captured", ratios["captured"], at_least=FASTER)


def milliseconds(function, repeats: int = 10) -> float:
    """Of a call, the median by the device's clock."""
    for _ in range(3):
        function()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    marks[0].record()
    for mark in marks[1:]:
        function()
        mark.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) for a, b in itertools.pairwise(marks))


def convolutions(model: nn.Module, *inputs: torch.Tensor) -> tuple[float, float]:
    """Operations and milliseconds of all convolutions, there and back, each shape alone, in bf16 and channels last."""
    seen: Counter = Counter()
    handles = [
        module.register_forward_pre_hook(lambda module, args: seen.update([(module, tuple(args[0].shape))]))
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        model(*inputs)
    for handle in handles:
        handle.remove()
    kinds = Counter(
        (shape, module.out_channels, module.kernel_size, module.stride, module.padding)
        for (module, shape), count in seen.items()
        for _ in range(count)
    )
    operations = total = 0.0
    for (shape, width, kernel, stride, padding), count in kinds.items():
        like = {"device": "cuda", "dtype": torch.bfloat16, "memory_format": torch.channels_last}
        x = torch.empty(shape, **like).normal_().requires_grad_()
        weight = torch.empty(width, shape[1], *kernel, **like).normal_().requires_grad_()
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        gradient = torch.randn_like(y)

        def there_and_back(x=x, weight=weight, stride=stride, padding=padding, gradient=gradient) -> None:
            F.conv2d(x, weight, stride=stride, padding=padding).backward(gradient)
            x.grad = weight.grad = None

        total += count * milliseconds(there_and_back)
        operations += count * 3 * 2 * y.numel() * shape[1] * kernel[0] * kernel[1]
    return operations, total


def large() -> None:
    """Compare a step of DDPM's U-Net with its convolutions; where the share is small, the kinds of kernels say why."""
    config = configuration(*LARGE)
    parts = build(config)
    data, model = parts.data.to("cuda"), parts.model.cuda().train()
    generator = torch.Generator("cuda").manual_seed(0)
    batch = parts.objective.draw(*data.train.at(torch.arange(config.batch_size)), generator)
    per_step = 3 * parts.costs["flops_per_sample"] * config.batch_size
    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    matrix = 2 * size**3 / milliseconds(lambda: a @ b) / 1e9
    operations, alone = convolutions(model, batch.images, batch.time)
    print(f"a matrix product of {size}: {matrix:.0f} TFLOP/s; the network's convolutions alone: {alone:.1f} ms a step,")
    print(f"{operations / alone / 1e9:.0f} TFLOP/s; they are {operations / per_step:.0%} of a step's operations")

    shares = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model.to(memory_format=layout)  # pyright: ignore[reportCallIssue] - the stubs lack it without other arguments

        def loss_of(batch: TrainingBatch) -> torch.Tensor:
            with torch.autocast("cuda", torch.bfloat16):
                return parts.objective.loss_of(model, batch).mean()

        optimizer = factory(config.optimizer, torch.optim.Optimizer)(model.parameters())
        fuse(optimizer)
        rates = DeviceRates(optimizer, torch.device("cuda"))

        def by_hand(optimizer=optimizer, rates=rates, loss_of=loss_of) -> None:
            with rates.on_device():
                optimizer.zero_grad()
                loss_of(batch).backward()
                optimizer.step()

        eager = milliseconds(by_hand, 5)
        spent = where_it_goes(by_hand)
        step = CapturedStep(loss_of, optimizer, rates, clip=lambda: None)
        taken = milliseconds(partial(step, batch))
        rate = per_step / taken / 1e9
        share = rate / (operations / alone / 1e9)
        print(f"{layout}: by hand {eager:.1f} ms, captured {taken:.1f} ms, {rate:.0f} TFLOP/s, {share:.0%} of theirs")
        print(f"   by hand: {spent}", flush=True)
        shares.append(share)
        del step, optimizer, rates
    judged("share of its convolutions' rate", [max(shares)], at_least=SHARE)


KINDS = {
    "convolutions and products": ("conv", "gemm", "cutlass", "xmma", "wgrad", "dgrad", "fprop", "nvjet", "sm90"),
    "normalization": ("norm", "moments", "group"),
    "layouts and casts": ("nchw", "nhwc", "copy", "transpose", "cat"),
    "attention": ("attention", "flash", "fmha", "softmax"),
    "reductions": ("reduce",),
    "optimizer": ("multi_tensor", "adam"),
}


def where_it_goes(step) -> str:
    """The share of the device's time by kind of kernel."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        step()
        torch.cuda.synchronize()
    by_kind: Counter = Counter()
    for event in profiled.key_averages():
        kinds = (kind for kind, parts in KINDS.items() if any(part in event.key.lower() for part in parts))
        by_kind[next(kinds, "others")] += event.self_device_time_total
    total = sum(by_kind.values())
    return ", ".join(f"{kind} {spent / total:.0%}" for kind, spent in by_kind.most_common())


def main(rounds: int) -> None:
    if not torch.cuda.is_available():
        print("not run: this machine has no GPU")
        return
    quiet()
    print(f"{torch.cuda.get_device_name()}, {platform.machine()}, torch {torch.__version__}, {rounds} rounds")
    missed = small(rounds)
    large()
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
