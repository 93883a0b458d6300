"""Composed configurations and finished trials that several tests share."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from functools import cache
from importlib import metadata

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers share the cores
os.environ["SKIPLAB_CACHE_DIR"] = tempfile.mkdtemp(prefix="skiplab-tests-")  # never the user's own
_OWNER = os.getpid()
metadata.entry_points = cache(metadata.entry_points)  # Lightning looks through all packages for each trainer
os.fsync = lambda handle: None  # waits for the disk, which matters where the power may fail


@atexit.register
def _remove_cache() -> None:
    if os.getpid() == _OWNER:  # not in processes forked from this one
        shutil.rmtree(os.environ["SKIPLAB_CACHE_DIR"], ignore_errors=True)


import composition_cache  # noqa: E402 - torch reads the environment
from tiny_trials import TINY, Composed, Trial, compose_config, run_tiny  # noqa: E402 - torch reads the environment


def pytest_configure(config: pytest.Config) -> None:
    composition_cache.install()
    for line in (
        # Lightning's own use of torch's pytrees
        r"ignore:.*isinstance\(treespec, LeafSpec\).*:FutureWarning",
        # Lightning, where a trial is resumed
        "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
        "ignore:You're resuming from a checkpoint that ended before the epoch ended:UserWarning",
        # torchmetrics, on every KernelInceptionDistance
        "ignore:Metric `Kernel Inception Distance` will save all extracted features:UserWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay to the end: the garbage collector need not look through their million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


# Files, and folders of files, that take from ten seconds to half a minute each.
LONGEST = frozenset(
    {
        "test_slurm.py",
        "test_shell_lines.py",
        "test_cores.py",
        "test_extending.py",
        "test_every_command.py",
        "test_first_steps.py",
        "test_notebooks.py",
        "test_decide.py",
        "tuning",
        "test_presets.py",
        "test_sisters.py",
        "test_hostile_overrides.py",
        "test_degenerate_studies.py",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that at the end no core is idle while another is at work on one of them.

    What needs a GPU comes last: a process that has used one can't be forked, and other tests fork.
    """
    items.sort(
        key=lambda item: (item.get_closest_marker("gpu") is not None, LONGEST.isdisjoint(item.path.parts)),
    )


@pytest.fixture(scope="session")
def compose() -> Callable[..., Composed]:
    """compose(*overrides): the trial's configuration at full size."""
    return compose_config


@pytest.fixture(scope="session")
def compose_tiny() -> Callable[..., Composed]:
    """compose_tiny(*overrides): the smallest trial that has every part."""
    return lambda *overrides: compose_config(*TINY, *overrides)


@pytest.fixture(scope="session")
def run() -> Callable[..., Trial]:
    """run(runs_dir, *overrides): compose the smallest trial with these overrides and run it."""
    return run_tiny


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages show their figures' titles alone."""
    from undrawn import leave_undrawn

    leave_undrawn(monkeypatch)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """One finished trial, to be read and never changed."""
    return run_tiny(tmp_path_factory.mktemp("finished"), "trainer.max_steps=12")


@pytest.fixture(scope="session")
def trained(finished: Trial):
    """What evaluators get of the finished trial."""
    import torch
    from safetensors.torch import load_file

    from skiplab.evaluators.evaluator import Trained
    from skiplab.training.build import build

    components = build(finished.composed.config)
    components.model.load_state_dict(load_file(finished.record.weights))
    return Trained(
        model=components.model.eval(),
        make_untrained=components.make_untrained,
        objective=components.objective,
        data=components.data,
        sampler=components.sampler,
        make_extractor=components.make_extractor,
        eval_batch=components.eval_batch,
        seed=components.settings.seed,
        device=torch.device("cpu"),
    )
