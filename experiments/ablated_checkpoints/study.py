"""Ablates checkpoints: small networks that were trained here lose their shortcuts, and are trained further.

    python experiments/ablated_checkpoints/study.py [--seeds 31,32] [--runs-dir runs]

For each seed `skiplab train` makes a checkpoint, a network with shortcuts, and one that never had any. Then
`skiplab.measure_shortcuts` says what each shortcut of the checkpoint carries, and three copies of it are fine-tuned on
the same batches: with their shortcuts, without them, and with shortcuts that fade. What is finished isn't run again.
With all seeds, the claims are judged and the result is written into this folder.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import skiplab
from skiplab.cli.train import train
from skiplab.measured_shortcuts import MeasuredShortcuts
from skiplab.records.file_names import RECORD
from skiplab.seeding import keyed_generator
from skiplab.surgery.shortcut import Shortcuts
from skiplab.training.record_loss import record_loss

SEEDS = (31, 32, 33, 34, 35, 36)
STEPS, MORE_STEPS, EVERY, BATCH, CLIP_NORM = 300, 150, 15, 64, 1.0
FACTORS = (0, 0.5, 0.75, 1.25, 1.5)
NETWORK = (
    f"backbone=isotropic long_skip=none width=16 depth=8 batch_size={BATCH} trainer.gradient_clip_norm={CLIP_NORM} "
    "evaluator=[denoising_loss] logger=none num_threads=1"
)
# Of pilots on other seeds: for each arm of fine-tuning, the lowest of 1e-3, 3e-3 and 1e-2 that is within 0.001 of the
# best skill; for networks that never had shortcuts, the better of 1e-3 and 3e-3.
CHECKPOINT_RATE, NEVER_HAD_RATE = 3e-3, 3e-3
CONNECTIONS = {"untouched": "identity", "removed_then_tuned": "plain", "faded": "fading"}
RATES = {"untouched": 1e-3, "removed_then_tuned": 1e-3, "faded": 3e-3}


def trained(connection: str, steps: int, rate: float, seed: int, runs_dir: Path) -> Path:
    """The record of a network with or without shortcuts."""
    name = f"ablated_checkpoints_{connection}_{steps}_{rate:g}_{seed}"
    words = [f"connection={connection}", f"trainer.max_steps={steps}", f"optimizer.lr={rate}", f"seed={seed}"]
    train([*NETWORK.split(), *words, f"run.study={name}", f"run.runs_dir={runs_dir}"])
    return runs_dir / skiplab.read_study(name, runs_dir).trials["key"].item()


class Checkpoint:
    """A trained network, the batches of its fine-tuning, and its loss on validation images."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.trial, self.seed = skiplab.load(folder), seed
        self.loss = record_loss(self.trial, num_images=256, num_levels=5)

    def shortcuts(self, model: nn.Module) -> Shortcuts:
        example = self.trial.objective.example(self.trial.data.train.shape)
        return skiplab.find_shortcuts(model, example).where(kind="identity")

    def batch_loss(self, model: nn.Module, step: int) -> Tensor:
        """The training loss at a step; images and noise are a function of seed and step alone."""
        generator, split = keyed_generator(self.seed, "fine-tuning", step), self.trial.data.train
        images, labels = split.at(torch.randint(len(split), (BATCH,), generator=generator))
        return self.trial.objective.loss(model, images, labels, generator).mean()

    def fine_tuned(self, connection: str, rate: float) -> dict[int, float]:
        """The loss by step while a copy is trained further, with a connection in the place of its shortcuts."""
        model, curve = copy.deepcopy(self.trial.model), {}
        skiplab.ablate(model, connection, self.shortcuts(model))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for step in range(MORE_STEPS + 1):
            skiplab.set_progress(model, min(1.0, step / (MORE_STEPS - 1)))
            if step % EVERY == 0:
                curve[step] = self.loss(model.eval())["all"]
            if step < MORE_STEPS:
                optimizer.zero_grad()
                self.batch_loss(model.train(), step).backward()
                nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
                optimizer.step()
        return curve


def of_seed(seed: int, runs_dir: Path) -> dict[str, Any]:
    """The losses of all arms at a seed, the curves of fine-tuning, and what each shortcut carries."""
    path = runs_dir / "ablated_checkpoints" / f"{seed}.json"
    if not path.exists():
        with_shortcuts = trained("identity", STEPS, CHECKPOINT_RATE, seed, runs_dir)
        without = trained("plain", STEPS + MORE_STEPS, NEVER_HAD_RATE, seed, runs_dir)
        seconds = {"checkpoint": _origin(with_shortcuts)["wall_seconds"], "never_had": _origin(without)["wall_seconds"]}
        checkpoint, never_had = Checkpoint(with_shortcuts, seed), Checkpoint(without, seed)
        began = time.monotonic()
        model = checkpoint.trial.model
        measured = skiplab.measure_shortcuts(model, checkpoint.loss, checkpoint.shortcuts(model), factors=FACTORS)
        losses = _untrained_arms(measured) | {"never_had": never_had.loss(never_had.trial.model)["all"]}
        seconds["removed"] = time.monotonic() - began
        curves = {}
        for arm, connection in CONNECTIONS.items():
            began = time.monotonic()
            curves[arm] = checkpoint.fine_tuned(connection, RATES[arm])
            losses[arm], seconds[arm] = curves[arm][MORE_STEPS], time.monotonic() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"losses": losses, "seconds": seconds, "curves": curves, "origin": _origin(with_shortcuts)}
        content["shortcuts"] = measured.frame.to_csv(index=False)
        path.write_text(json.dumps(content), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _origin(record: Path) -> dict[str, Any]:
    return json.loads((record / RECORD).read_text(encoding="utf-8"))["provenance"]


def _untrained_arms(measured: MeasuredShortcuts) -> dict[str, float]:
    """Losses of the checkpoint itself, with all shortcuts removed, and geometric means over single shortcuts."""
    table = measured.table()
    every, single = table[table["shortcut"] < 0], table[table["shortcut"] >= 0]
    half = len(single) // 2
    losses = {"checkpoint": measured.untouched(), "removed": every["removed"].item()}
    for change, column in (("removed", "removed"), ("halved", "x0.5")):
        logs = torch.tensor(single[column].to_numpy()).log()
        losses |= {
            f"early_{change}": logs[:half].mean().exp().item(),
            f"late_{change}": logs[half:].mean().exp().item(),
        }
    return losses


def main(seeds: Sequence[int], runs_dir: Path) -> None:
    found = {seed: of_seed(seed, runs_dir) for seed in seeds}
    if set(seeds) == set(SEEDS):
        sys.path.insert(0, str(Path(__file__).parent))
        from written_result import write_result

        write_result(found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="default: all")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    given = parser.parse_args()
    main([int(seed) for seed in given.seeds.split(",")], given.runs_dir)
