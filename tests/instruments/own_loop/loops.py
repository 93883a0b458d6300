"""A small network, the loops that train it, and the slow way to the numbers of a step."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.instruments.own_loop.readings_file import read_readings


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(4 * 16, 8),
        nn.Dropout(0.2),
        nn.Linear(8, 3),
    )


def batches(count: int) -> Iterable[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    for _ in range(count):
        yield torch.randn(6, 1, 4, 4), torch.randint(0, 3, (6,))


def norm(tensors: Iterable[Tensor | None]) -> float:
    """The Euclidean norm of all tensors together, entry by entry in Python's own numbers."""
    entries = (each.detach().to_dense().double().flatten().tolist() for each in tensors if each is not None)
    return sum(x * x for own in entries for x in own) ** 0.5


def gradient_norms(model: nn.Module, scale: float = 1.0) -> dict[str, float]:
    """The gradient norm of each module that owns a weight of two dimensions."""
    return {
        path: norm(parameter.grad for parameter in module.parameters(recurse=False)) / scale
        for path, module in model.named_modules()
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    }


def values(path: Path, quantity: str) -> dict[int, dict[str, float]]:
    """A quantity's values in a file of readings, by step and place."""
    rows = read_readings(path).layers
    rows = rows[rows["quantity"] == quantity]
    return {step: dict(zip(own["path"], own["value"], strict=True)) for step, own in rows.groupby("step")}


def train(
    model: nn.Module,
    *,
    num_steps: int = 7,
    accumulated: int = 1,
    clip: float | None = None,
    factor: float = 1.0,
    scaler: torch.amp.GradScaler | None = None,
    before_clipping: Callable[[int, nn.Module], Any] = lambda step, model: None,
    after: Callable[[Tensor], Any] = lambda loss: None,
) -> nn.Module:
    """A loop as anybody writes it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = iter(batches(num_steps * accumulated))
    for step in range(num_steps):
        optimizer.zero_grad()
        for _ in range(accumulated):
            x, y = next(data)
            loss = nn.functional.cross_entropy(model(x), y) * factor / accumulated
            (loss if scaler is None else scaler.scale(loss)).backward()
        before_clipping(step, model)
        if clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        after(loss)
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
