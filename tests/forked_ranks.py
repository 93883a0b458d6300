"""A process group of two ranks, forked from the tests' process, so that no rank has to import anything."""

import gc
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import distributed


def on_two_ranks(run: Callable[..., Any], *arguments: Any, folder: Path) -> list[Any]:
    """What run(rank, *arguments) returns on each rank."""
    gc.collect()  # groups of earlier tests, else a rank may destroy its copy, without its threads, and abort
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    group = (f"file://{folder}/store", queue)
    ranks = [context.Process(target=_rank, args=(rank, *group, run, arguments)) for rank in range(2)]
    for each in ranks:
        each.start()
    found = dict(queue.get() for _ in ranks)
    for each in ranks:
        each.join(60)
    assert [each.exitcode for each in ranks] == [0, 0]
    return [found[rank] for rank in range(2)]


def _rank(rank: int, store: str, queue: Any, run: Callable[..., Any], arguments: tuple) -> None:
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    queue.put((rank, run(rank, *arguments)))
    distributed.destroy_process_group()
