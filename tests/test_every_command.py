"""Every command and every option of every command, on the records of real small trials."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Ended, as_newcomer, run_command
from skiplab.cli.parser import make_parser
from tiny_trials import TINY

CLAIMS = """
question: Do shortcuts help?
factor: connection
control: plain
treatment: identity
claims:
  - {name: helps, text: Shortcuts help., metric: skill_train, contrast: difference, direction: higher}
"""
SMALL = ("trainer.max_steps=2", "hydra/launcher=basic")
# Each command with its options, and a part of what it prints; RUN is a record of the study 'mine'.
CALLS: dict[str, str] = {
    "--version": "0.",
    "--help": "COMMAND",
    "status mine": "4 trials, 4 done",
    "status mine --watch --runs-dir runs": "4 trials, 4 done",
    "evaluate RUN": "skill_val",
    "evaluate RUN evaluator=[lesion]": "evaluated, done",
    "evaluate --config-dir own RUN evaluator=[mine] --trust": "evaluated, done",
    "table mine": "4 trials: 4 done",
    "table mine --factor connection --control identity --metric loss_val --metric skill_val --runs-dir runs": "plain",
    "table mine,other": "5 trials: 5 done",
    "effects mine": "connection",
    "effects mine --factor connection --control identity --metric loss_val --runs-dir runs": "connection",
    "equal-cost mine --factor connection --control plain --over depth --metric loss_val --runs-dir runs": "--over",
    "report mine --claims claims.yaml --factor connection --control plain --metric loss_val --runs-dir runs": "help.",
    "figures mine --only headline --runs-dir runs": "headline.pdf",
    "figures mine --claims claims.yaml --factor connection --control plain --format svg --only forest": "forest.svg",
    "sync mine --runs-dir runs": "W&B has no key",
    "wandb-import runs --study back --runs-dir elsewhere": "trials in elsewhere, 0 runs left out",
    "wandb-workspace mine --entity ME --project skiplab --dry-run --runs-dir runs": "mine",
    "dashboard mine --claims claims.yaml --port 0 --open --runs-dir runs": "http://127.0.0.1:",
    "dashboard mine --factor connection --control plain --metric loss_val --port 0": "http://127.0.0.1:",
    "reproduce": "residual_in_diffusion",
    "reproduce --list": "residual_in_diffusion",
    "reproduce veit2016_lesion --profile quick REDUCED run.runs_dir=reproduced": "verdicts as published",
    "reproduce huang2016_stochdepth --decide --budget 1h --max-seeds 5 --dry-run": "declares no looks",
    "decide DECIDED --claims looks.yaml --config-dir own": "trials; 4 seeds of everything would have taken 8",
    "decide mine --claims looks.yaml --budget 1h --max-seeds 3 --dry-run": "to come: at most 2 trials",
    "tune TUNED --rates 5 --factor 2 --widenings 0 --seeds 9001 --metric skill_train": "tuned.yaml",
    "tune TUNED --also optimizer.eps=1e-8,1e-7 --unequal --config-dir own --dry-run": "20 trials",
    "doctor --runs-dir runs": "cores",
    "train --help": "connection",
    "train TINY --dry-run": "1 trial",
    "train TINY --cfg job": "connection:",
}
# which need an account, a depth that varies, and claims with looks
FAILS = ("sync", "equal-cost", "reproduce huang2016_stochdepth")
EVAL_BATCH = ("eval_batch.num_images=16",)
POINTS = ("points/quick", *SMALL, "depth=4", "batch_size=16", *EVAL_BATCH, "evaluator=[denoising_loss]", "logger=none")
WORDS = {
    "TINY": TINY,
    "REDUCED": (
        *SMALL,
        "seed=0",
        "batch_size=16",
        "eval_batch.num_images=16",
        "eval_batch.num_levels=2",
        "logger=none",
    ),
    "TUNED": (*POINTS, "connection=plain"),
    "DECIDED": (*POINTS, "run.study=decided"),
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Iterator[dict[str, tuple[str, ...]]]:
    """A folder with the study 'mine' of plain and identity at two seeds, and one trial in 'other'."""
    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patched:
        as_newcomer(patched, folder)
        (folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
        (folder / "looks.yaml").write_text(f"looks: [3, 4]\n{CLAIMS}", encoding="utf-8")
        own = folder / "own" / "evaluator"
        own.mkdir(parents=True)
        (own / "mine.yaml").write_text(
            "# @package evaluator.mine\n_target_: skiplab.evaluators.baselines.Baselines\n", encoding="utf-8"
        )
        kept = [word for word in TINY if word != "logger=none"]
        sweep = ["connection=plain,identity", "seed=0,1", "run.study=mine", "hydra/launcher=basic"]
        trained = [run_command(["train", "-m", *kept, *sweep])]
        trained += [run_command(["train", *TINY, "seed=7", "run.study=other"])]
        assert [ended.code for ended in trained] == [0, 0], trained
        run = next(iter(Path("runs/studies/mine/keys.txt").read_text(encoding="utf-8").split()))
        yield WORDS | {"RUN": (os.path.join("runs", run),)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package wandb-workspaces
@pytest.mark.parametrize("call", CALLS)
def test_a_command_does_what_it_says(call: str, workplace: dict[str, tuple[str, ...]]) -> None:
    words = [part for word in call.split() for part in workplace.get(word, (word,))]
    ended: Ended = run_command(words)
    assert "Traceback" not in ended.text
    assert ended.code == call.startswith(FAILS), ended.text
    assert CALLS[call] in ended.text


def test_every_option_of_every_command_is_called() -> None:
    called = {call.split()[0]: set() for call in CALLS}
    for call in CALLS:
        called[call.split()[0]] |= set(call.split())
    (commands,) = (action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        options = {option for action in command._actions for option in action.option_strings if option.startswith("--")}
        assert options - {"--help"} <= called.get(name, set()), name
