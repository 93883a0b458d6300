"""Every command and every option of every command, on the records of real small trials."""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Ended, as_newcomer, run_command
from skiplab.cli.parser import make_parser
from skiplab.paths import project_dir
from tiny_trials import TINY
from undrawn import leave_undrawn

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
    "init fresh": "skiplab report first",
    "claims mine --factor connection --control plain --metric skill_train --runs-dir runs --to drafted.yaml": "1 claim",
    "claims points/quick depth=4,8 --config-dir own --to planned.yaml": "then train with run.claims=planned.yaml",
    "status mine": "4 trials, 4 done",
    "status mine --watch --runs-dir runs": "4 trials, 4 done",
    "evaluate RUN": "skill_val",
    "evaluate RUN evaluator=[lesion]": "evaluated, done",
    "evaluate --config-dir own RUN evaluator=[mine] --trust": "evaluated, done",
    "ablate SHORTCUTS --factors 0,2 --path *.joins.0 --kind identity --to removed --trust": "removed/shortcuts.svg",
    "ablate RUN --weights own.csv": "is a record, which has its own weights",
    "ablate RUN --train-on 2 --connection rezero --lr 0.01 --seeds 0,1": "--train-on is for module:function without",
    "table mine": "4 trials: 4 done",
    "table mine --factor connection --control identity --metric loss_val --metric skill_val --runs-dir runs": "plain",
    "table mine,other": "5 trials: 5 done",
    "effects mine": "connection",
    "effects mine --factor connection --control identity --metric loss_val --runs-dir runs": "connection",
    "table OWN --arm net --seed s --by depth --unpaired": "--unpaired goes with neither --seed nor --pair-by",
    "table OWN --arm net --pair-by s --by depth --status end": "12 trials: 12 done",
    "table OWN --arm net --seed s --by depth --history curves.csv --layers layers.csv": "12 trials: 12 done",
    "effects OWN --arm net --seed s --by depth --status end": "net better over plain",
    "effects OWN --arm net --pair-by s --by depth --history curves.csv --layers layers.csv": "depth, per doubling",
    "effects OWN --arm net --unpaired": "compared as unpaired",
    "compare mine --factor connection --control plain --metric skill_val --smallest-effect 0 --runs-dir runs": "few",
    "compare OWN --arm net --seed s --by depth --status end": "better has lower loss than plain",
    "compare OWN --arm net --pair-by s --by depth --history curves.csv --layers layers.csv": "from 6 seeds on",
    "compare OWN --arm net --unpaired": "compared as unpaired",
    "report OWN --arm net --seed s --by depth --status end --history curves.csv --layers layers.csv": "report.html",
    "report OWN --arm net --pair-by s --unpaired": "--unpaired goes with neither --seed nor --pair-by",
    "figures own.csv --arm net --seed s --by depth --status end --metric loss:lower --only headline": "headline.pdf",
    "figures OWN --arm net --pair-by s --by depth --history curves.csv --layers layers.csv --only norm": "norm.pdf",
    "figures OWN --arm net --unpaired --only headline": "headline.pdf",
    "import logged --to t.csv --arm config.net --seed config.s --by config.depth --metric loss:lower": "2 runs: 1 of",
    "import logged --to t.csv --arm path.0 --metric loss:lower --tracker files --history h.csv": "no run has",
    "equal-cost mine --factor connection --control plain --over depth --metric loss_val --runs-dir runs": "--over",
    "report mine --claims claims.yaml --factor connection --control plain --metric loss_val --runs-dir runs": "help.",
    "report mine --details --runs-dir runs": "claimed",
    "figures mine --only headline --runs-dir runs": "headline.pdf",
    "figures mine --claims claims.yaml --factor connection --control plain --format svg --only forest": "forest.svg",
    "readings plain=watched.csv better=watched.csv --to drawn --format svg": "drawn",
    "sync mine --private --runs-dir runs": "W&B has no key",
    "wandb-import runs --study back --runs-dir elsewhere": "trials in elsewhere, 0 runs left out",
    "wandb-workspace mine --entity ME --project skiplab --dry-run --runs-dir runs": "mine",
    "dashboard mine --claims claims.yaml --port 0 --open --runs-dir runs": "http://127.0.0.1:",
    "dashboard mine --factor connection --control plain --metric loss_val --port 0": "http://127.0.0.1:",
    "demo REDUCED depth=4 long_skip=none run.runs_dir=shown": "verdicts as published",
    "reproduce": "residual_in_diffusion",
    "reproduce --list": "residual_in_diffusion",
    "reproduce veit2016_lesion --profile quick REDUCED run.runs_dir=reproduced": "verdicts as published",
    "reproduce zhang2024_decayed_identity --profile standard --decide --continue --dry-run trainer=cpu": "55 trials",
    "reproduce huang2016_stochdepth --decide --budget 1h --max-seeds 5 --dry-run": "--max-seeds leaves out 10, 20, 40",
    "decide DECIDED --claims looks.yaml --config-dir own": "trials; 4 seeds of everything would have taken 8",
    "decide mine --claims looks.yaml --budget 1h --max-seeds 3 --dry-run": "to come: at most 2 trials",
    "tune TUNED --rates 5 --factor 2 --widenings 0 --seeds 9001 --metric skill_train": "tuned.yaml",
    "tune TUNED --also optimizer.eps=1e-8,1e-7 --unequal --config-dir own --dry-run": "20 trials",
    "confirm CONFIRMED --seeds 9003 --config-dir own --dry-run": "6 trials",
    "doctor --runs-dir runs": "cores",
    "train --help": "connection",
    "train TINY --dry-run": "1 trial",
    "train TINY --cfg job": "connection:",
}
DRAWN = "report mine --claims claims.yaml --factor connection --control plain --metric loss_val --runs-dir runs"
# which need an account, and a depth that varies
FAILS = ("sync", "equal-cost")
# and options that exclude each other
REFUSALS = ("--train-on is for", "--unpaired goes", "no run has", "is a record")
EVAL_BATCH = ("eval_batch.num_images=16",)
POINTS = ("points/quick", *SMALL, "depth=4", "batch_size=16", *EVAL_BATCH, "evaluator=[denoising_loss]", "logger=none")
WORDS = {
    "OWN": ("own.csv", "--metric", "loss:lower"),
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
    "CONFIRMED": (str(project_dir("experiments") / "six_claims" / "tuned_digits" / "tuned.yaml"),),
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
        _write_own_results(folder)
        kept = [word for word in TINY if word != "logger=none"]
        sweep = ["connection=plain,identity", "seed=0,1", "run.study=mine", "hydra/launcher=basic"]
        trained = [run_command(["train", "-m", *kept, *sweep])]
        trained += [run_command(["train", *TINY, "seed=7", "run.study=other"])]
        assert [ended.code for ended in trained] == [0, 0], trained
        run = next(iter(Path("runs/studies/mine/keys.txt").read_text(encoding="utf-8").split()))
        (other,) = Path("runs/studies/other/keys.txt").read_text(encoding="utf-8").split()
        yield WORDS | {"RUN": (os.path.join("runs", run),), "SHORTCUTS": (os.path.join("runs", other),)}


def _write_own_results(folder: Path) -> None:
    """A table of someone's own results with curves and readings of layers, and two logged runs."""
    runs = [(net, seed, depth) for net in ("plain", "better") for seed in range(3) for depth in (4, 8)]
    lines = [f"{net},{seed},{depth},{len(net) + seed + 0.1 * depth},done" for net, seed, depth in runs]
    _write(folder / "own.csv", "net,s,depth,loss,end", lines)
    curves = [f"{net},{seed},{depth},{step},loss,{1 / (1 + step)}" for net, seed, depth in runs for step in range(3)]
    _write(folder / "curves.csv", "net,s,depth,step,metric,value", curves)
    layers = [f"{net},{seed},{depth},layer {place},norm,2" for net, seed, depth in runs for place in range(2)]
    _write(folder / "layers.csv", "net,s,depth,path,quantity,value", layers)
    watched = [f"{step},{block},block {block},block_gradient_norm,0.5" for step in range(3) for block in range(2)]
    _write(folder / "watched.csv", "step,index,path,quantity,value", watched)
    for net in ("plain", "better"):
        run = folder / "logged" / net
        run.mkdir(parents=True)
        (run / "config.json").write_text(json.dumps({"net": net, "s": 0, "depth": 4}), encoding="utf-8")
        (run / "metrics.json").write_text('{"loss": 1.5}', encoding="utf-8")


def _write(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package wandb-workspaces
@pytest.mark.parametrize("call", CALLS)
def test_a_command_does_what_it_says(call: str, workplace: dict[str, tuple[str, ...]], monkeypatch) -> None:
    """One report of the records draws its figures; they take longer than all that the others print."""
    if call != DRAWN:
        leave_undrawn(monkeypatch)
    words = [part for word in call.split() for part in workplace.get(word, (word,))]
    ended: Ended = run_command(words)
    assert "Traceback" not in ended.text
    assert ended.code == (call.startswith(FAILS) or CALLS[call].startswith(REFUSALS)), ended.text
    assert CALLS[call] in ended.text


def test_every_option_of_every_command_is_called() -> None:
    assert DRAWN in CALLS
    called = {call.split()[0]: set() for call in CALLS}
    for call in CALLS:
        called[call.split()[0]] |= set(call.split())
    (commands,) = (action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        options = {option for action in command._actions for option in action.option_strings if option.startswith("--")}
        assert options - {"--help"} <= called.get(name, set()), name
