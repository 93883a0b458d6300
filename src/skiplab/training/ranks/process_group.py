"""Several processes of one machine that train one network: the trial's own process, rank 0, starts the others."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skiplab.errors import SkiplabError
from skiplab.training.quiet import quiet

_PATIENCE = timedelta(minutes=10)  # of a rank that waits for another
_GRACE_SECONDS = 5  # between a rank's failure and its report of it, when rank 0 has already lost the connection


def check_ranks(config: DictConfig, model: nn.Module) -> None:
    """Check that several processes can train this network together.

    Raises:
        SkiplabError: names the invalid value and the valid ones.
    """
    if "devices" not in config.trainer:
        return
    devices, backend, accelerator = (config.trainer[name] for name in ("devices", "backend", "accelerator"))
    if not isinstance(devices, int) or isinstance(devices, bool) or devices < 1:
        raise SkiplabError(f"trainer.devices={devices} is invalid; valid: a whole number from 1")
    if backend not in ("gloo", "nccl"):
        raise SkiplabError(f"trainer.backend={backend} is invalid; valid: gloo, nccl")
    if backend == "nccl" and accelerator != "gpu":
        raise SkiplabError("trainer.backend=nccl needs GPUs; choose trainer.backend=gloo")
    if config.batch_size % devices:
        raise SkiplabError(
            f"batch_size={config.batch_size} can't be shared equally by trainer.devices={devices}; valid: a multiple "
            f"of {devices}, such as {-(-config.batch_size // devices) * devices}"
        )
    if devices > 1 and any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise SkiplabError(
            f"norm=batch with trainer.devices={devices} would normalize each device's rows by their own statistics, "
            "which is another network; choose norm=group or norm=layer, or one device"
        )


@contextmanager
def together(follow: Callable[..., None], *arguments: Any, num_ranks: int, backend: str) -> Iterator[None]:
    """Run the block as rank 0 of a process group; its other ranks are new processes that run follow(*arguments).

    No rank outlives the block, whatever happens to the block or to this process.

    Args:
        follow: a function of a module, so that new processes can import it.
        arguments: its arguments, which must be picklable.
        num_ranks: number of processes, this one included, from 1.
        backend: 'gloo' or 'nccl'.

    Raises:
        RuntimeError: if another rank failed, with its reason.
    """
    with TemporaryDirectory(prefix="skiplab-ranks-") as folder:
        group = (num_ranks, backend, Path(folder) / "store")
        others: list[_Other] = []
        try:
            for rank in range(1, num_ranks):
                others.append(_Other(rank, group, follow, arguments))
            for other in others:
                other.wait_until_ready()
            _join(0, *group)
            try:
                yield
            except Exception as error:
                # The group still exists, so no other rank has failed because of this one.
                _raise_failures(others, _GRACE_SECONDS, error)
                raise
            finally:
                distributed.destroy_process_group()
            _raise_failures(others, _PATIENCE.total_seconds())
        finally:
            for other in others:
                other.end()


class _Other:
    """Another rank, as seen from rank 0."""

    def __init__(self, rank: int, group: tuple[int, str, Path], follow: Callable[..., None], arguments: tuple) -> None:
        context = multiprocessing.get_context("spawn")
        self.rank = rank
        self.news, its_end = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_run, args=(its_end, rank, group, follow, arguments), name=f"skiplab-rank-{rank}", daemon=True
        )
        self.process.start()
        its_end.close()  # so that the connection ends with the process

    def wait_until_ready(self) -> None:
        try:
            self.news.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"rank {self.rank} ended as it started, exit code {self.process.exitcode}") from None

    def failure(self) -> tuple[str, str]:
        """Why it failed, in one line and at length; empty if it didn't."""
        try:
            return self.news.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            return (f"it ended with exit code {code}", "") if code else ("", "")

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.news.close()


def _raise_failures(others: Sequence[_Other], seconds: float, error: Exception | None = None) -> None:
    """Raise the reasons if other ranks failed; wait for the end of all of them, or of the first that fails."""
    waited_for = list(others)
    while waited_for:
        ended = wait([other.news for other in waited_for], seconds)
        if not ended:
            return
        found = {other.rank: other.failure() for other in waited_for if other.news in ended}
        failed = {rank: reasons for rank, reasons in found.items() if reasons[0]}
        if failed:
            failure = RuntimeError("; ".join(f"rank {rank} failed: {line}" for rank, (line, _) in failed.items()))
            for _, (_, text) in failed.items():
                failure.add_note(text)
            raise failure from error
        waited_for = [other for other in waited_for if other.rank not in found]


def _run(
    news: Connection, rank: int, group: tuple[int, str, Path], follow: Callable[..., None], arguments: tuple
) -> None:
    """The main function of another rank."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet()
    try:
        news.send("ready")
        _join(rank, *group)
        follow(*arguments)
        distributed.destroy_process_group()
    except BaseException as error:
        news.send((f"{type(error).__name__}: {error}", traceback.format_exc()))
        os._exit(1)  # a normal exit might wait for the other ranks


def _end_with_parent() -> None:
    """End this rank, wherever it waits, when rank 0 is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process is another rank, which rank 0 started"
    wait([parent.sentinel])
    os._exit(1)


def _join(rank: int, num_ranks: int, backend: str, store: Path) -> None:
    """Join the process group; its members find each other by a file, so that trials don't compete for a port."""
    distributed.init_process_group(
        backend, init_method=f"file://{store}", rank=rank, world_size=num_ranks, timeout=_PATIENCE
    )
