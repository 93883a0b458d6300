"""What the commands do with hostile records; for a process of its own, since a watch can't be taken off."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import composition_cache
import skiplab
from skiplab.analysis.page.served_page import ServedPage
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.training.evaluate_record import evaluate_record

RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "shutil.rmtree", "pickle.find_class")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(outside: str, seen: list[str]) -> Callable[[str, tuple], None]:
    """What a hook of `sys.addaudithook` notes: code that is run, imports of the hostile, files opened outside."""

    def hook(event: str, arguments: tuple) -> None:
        if event in RUNS and not (event == "pickle.find_class" and composition_cache.remembering):
            seen.append(f"{event} {str(arguments)[:200]}")
        elif event == "import" and str(arguments[0]).startswith("acts_on_import"):
            seen.append(f"import {arguments[0]}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path.startswith(outside):
                kind = "writing" if (arguments[2] or 0) & WRITES else "reading"
                seen.append(f"open for {kind} {path}")

    return hook


def ended(run: Callable[[], object]) -> str:
    """How a command ends: 'done', 'told: ...', or 'raised: ...'."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            run()
    except SkiplabError as error:
        return f"told: {error}"
    except SystemExit as end:
        return f"told: {errors.getvalue()}" if end.code else "done"
    except BaseException as error:
        return f"raised: {type(error).__name__}: {str(error)[:300]}"
    return "done"


def draw(page: ServedPage) -> None:
    page._look()
    assert "can't be drawn" not in page.shown.html


def watch_commands(runs_dir: str, offline: str, outside: str, answer: str) -> None:
    """Try every command.

    Args:
        runs_dir: the records.
        offline: a folder of offline W&B runs.
        outside: the folder that is watched.
        answer: the file that gets how each command ended, and what was seen.
    """
    seen: list[str] = []
    good = Path(runs_dir, json.loads(Path(answer).read_text())["good"])
    skiplab.load(good)  # all that commands import themselves is there
    found: dict[str, dict[str, object]] = {}
    sys.addaudithook(watch(os.path.realpath(outside), seen))
    commands: dict[str, Callable[[], object]] = {
        "status": lambda: main(["status", "hostile", "--runs-dir", runs_dir]),
        "table": lambda: main(["table", "hostile", "--runs-dir", runs_dir]),
        "effects": lambda: main(["effects", "hostile", "--runs-dir", runs_dir]),
        "report": lambda: main(["report", "hostile", "--runs-dir", runs_dir]),
        "figures": lambda: main(
            ["figures", "hostile", "--runs-dir", runs_dir, "--format", "png", "--only", "samples,loss_by_noise"]
        ),
        "dashboard": lambda: draw(ServedPage("hostile", Path(runs_dir), None, lambda: "")),
        "wandb-import": lambda: main(["wandb-import", offline, "--runs-dir", f"{runs_dir}/imported", "--study", "s"]),
    }
    for folder in sorted(path.parent for path in Path(runs_dir).glob("*/record.json")):
        commands[f"load {folder.name}"] = lambda folder=folder: skiplab.load(folder)
        commands[f"evaluate {folder.name}"] = lambda folder=folder: evaluate_record(
            folder, ["evaluator=[frechet_distance]"], None
        )
    for name, run in commands.items():
        seen.clear()
        how = ended(run)
        found[name] = {"ended": how, "seen": list(seen)}
        Path(answer).write_text(json.dumps(found))
