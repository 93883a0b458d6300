"""Every shell line and Python block of the README and of docs/ is run, a page in one folder, on a small budget."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Ended, as_newcomer, run_command, run_script
from published import pictures, publish
from shell_lines import ROOT, ShellLine, fenced, inline_commands, shell_lines
from undrawn import leave_undrawn

# What is added to a line that trains, unless the line itself or a preset of its own sets it.
BUDGET = {
    "trainer.max_steps": "2",
    "batch_size": "16",
    "eval_batch.num_images": "16",
    "eval_batch.num_levels": "2",
    "num_samples": "32",
    "evaluator": "[denoising_loss]",
    "instrument": "[gradient_flow]",
    "logger": "none",
    "hydra/launcher": "basic",  # in this process: no starts to pay
}
# Lines, by how they begin, that get another budget; None leaves a setting as the line or its preset has it, and what
# begins with -- is an option.
BUDGETS = {
    "skiplab train connection=identity depth=8": {"logger": "wandb_offline"},
    "skiplab train -m connection=plain,identity run.study=mine": {"logger": "wandb_offline"},
    "skiplab train -m connection=identity,rezero": {"depth": "4", "seed": "0,1,2"},
    "skiplab train -m --config-dir mine/conf": {"connection": "identity,half_life"},
    "skiplab train -m connection=plain,identity,rezero depth=4,8 seed=0,1,2": {"depth": "4", "seed": "0,1"},
    "skiplab train -m connection=plain,identity depth=4,16 seed": {
        "trainer.max_steps": "2",
        "depth": "4",
        "seed": "0,1",
    },
    "skiplab train -m connection=plain,identity depth=4,16 instrument": {"depth": "4"},
    "skiplab train -m connection=plain,identity depth=4 seed=10": {"trainer.max_steps": "2", "seed": "10,11"},
    "skiplab train -m experiment=he2015_resnet/quick": {"evaluator": "[classification]", "seed": "0", "depth": "3"},
    "skiplab train -m experiment=points/quick": {"seed": "0", "depth": "4"},
    "skiplab train -m experiment=every_connection/digits": {"seed": "0", "connection": "plain,dense"},
    "skiplab train -m experiment=residual_in_diffusion/quick sampler": {"seed": "101"},
    "skiplab train -m experiment=residual_in_diffusion/quick depth": {"seed": "11"},
    "skiplab train data=mnist": {"trainer.max_steps": "2", "num_samples": "4"},
    "skiplab decide residual_in_diffusion/quick": {
        "trainer.max_steps": "2",
        "long_skip": "none",
        "evaluator": "[denoising_loss,iterative_refinement]",
        "instrument": "[stability]",
        "--max-seeds": "3",
    },
    "skiplab ablate checkpoint:made --to measured --train-on": {"--train-on": "2", "--seeds": "0,1"},
    "skiplab figures mine": {"--only": "headline,training_loss"},
    "skiplab tune": {"evaluator": None, "instrument": None, "--widenings": "0", "--seeds": "9001"},
    "skiplab evaluate runs/KEY evaluator=[frechet_distance": {
        "num_samples": "64",
        "evaluator.kernel_distance.subset_size": "16",
    },
    "skiplab evaluate runs/KEY evaluator=[cka]": {"evaluator.cka.num_images": "16"},
    "skiplab evaluate runs/KEY evaluator=[lesion": {
        "eval_batch.num_images": "16",
        "evaluator.landscape.num_images": "4",
        "evaluator.landscape.num_points": "3",
        "evaluator.landscape.num_directions": "2",
        "evaluator.landscape.num_eigenvalues": "1",
        "evaluator.jacobian.num_images": "1",
    },
}
# Documents whose reports draw figures; those of the others would show the same kinds of records and charts.
DRAWN = ("README.md", "docs/look_inside.md", "docs/own_module.md", "docs/own_results.md")
# Words of a page's files that train for longer than a test may, and what stands for them.
SHORTER = {
    "docs/own_network.md": (
        "seeds=[0, 1])",
        "seeds=[0], settings={'trainer.max_steps': 2, 'evaluator': ['denoising_loss'], 'hydra/launcher': 'basic'})",
    ),
    "docs/checkpoints.md": ("STEPS, rows = 100, []", "STEPS, rows = 2, []"),
    "docs/python.md": ('"trainer.max_steps": 20,', '"trainer.max_steps": 2,'),
    "docs/own_module.md": ('"trainer.max_steps": 40,', '"trainer.max_steps": 2,'),
}
# Lines whose cluster isn't here: the configuration of their first trial is composed and shown.
COMPOSED = ("skiplab train -m connection=plain,identity seed=0,1,2 hydra/launcher=skiplab_slurm",)
# Lines that can't end well here, with their exit code and the sentence that says why.
REFUSED = {
    "skiplab sync mine": (1, "W&B has no key"),
    "skiplab wandb-workspace mine --entity ME": (1, "No API key configured"),
    "skiplab wandb-import ME/skiplab": (1, "W&B has no key"),
}


_FILE = re.compile(r"# (\w+\.(?:yaml|py))\n")  # the first line of a block that is a file


def _beginning(line: ShellLine, table: dict) -> object:
    """The entry of a table whose key the line begins with; None for none."""
    found = [value for start, value in table.items() if " ".join(line.words).startswith(start)]
    assert len(found) <= 1
    return found[0] if found else None


def _with_budget(line: ShellLine, key: str) -> list[str]:
    words = [word.replace("runs/KEY", f"runs/{key}") for word in line.words[1:]]
    if " ".join(line.words).startswith(COMPOSED):
        return [*(re.sub(r"=([^\[,]*),.*", r"=\1", word) for word in words if word != "-m"), "--cfg", "all"]
    command, own = words[0], _beginning(line, BUDGETS) or {}
    if command in ("figures", "ablate"):
        return [*words, *(word for option in own.items() for word in option)]
    if command not in ("train", "tune", "decide", "evaluate") or "--cfg" in words or "--help" in words:
        return words
    options = [word for option in own.items() if option[0].startswith("--") for word in option]
    budget = own if command == "evaluate" else BUDGET | own
    budget = {name: value for name, value in budget.items() if value and not name.startswith("--")}
    words = [word for word in words if word.split("=")[0] not in own or own[word.split("=")[0]] is None]
    given = {word.split("=")[0] for word in words}
    return [*words, *options, *(f"{name}={value}" for name, value in budget.items() if name not in given)]


@pytest.fixture
def newcomer(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder of one's own with the files that the README shows, some images as MNIST's, and nobody's account."""
    for split, images in (("train", pictures(64, (28, 28))), ("test", pictures(32, (28, 28), seed=1))):
        labels = [index % 10 for index in range(len(images))]
        publish(tmp_path / "downloads" / "mnist" / f"{split}-00000-of-00001.parquet", "image", images, label=labels)
    for text in fenced(ROOT / "README.md"):
        if named := re.match(r"# (mine/\S+)\n", text):
            (tmp_path / named[1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
    as_newcomer(monkeypatch, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/") or name.split(".")[0] == "mine":
            del sys.modules[name]


def _run(line: ShellLine, folder: Path) -> Ended:
    """Run a line; of other programs, `make` says what it would do, a script is looked for, and the rest is left out."""
    key = next((path.parent.name for path in sorted(folder.glob("runs/*/weights.safetensors"))), "none")
    if line.words[0] == "skiplab":
        return run_command(_with_budget(line, key))
    if line.words[0] == "make":
        made = subprocess.run(["make", "-n", *line.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        return Ended(made.returncode, made.stdout + made.stderr)
    if line.words[0] == "python" and (folder / line.words[1]).is_file():  # a script of the document
        run_script(folder / line.words[1])
        return Ended(0, "")
    if line.words[0] == "python":
        return Ended(0 if (ROOT / line.words[1]).is_file() else 1, f"{line.words[1]} is looked for alone")
    return Ended(0, "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package wandb-workspaces
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")  # of Lightning
@pytest.mark.parametrize("document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_shell_line_ends_as_it_should(document: str, newcomer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if document not in DRAWN:
        leave_undrawn(monkeypatch)
    lines = [*shell_lines(ROOT / document), *inline_commands(ROOT / document)]
    for text in fenced(ROOT / document):
        if named := _FILE.match(text):
            (newcomer / named[1]).write_text(_shorter(document, text), encoding="utf-8")
    wrong = {}
    for line in lines:
        ended = _run(line, newcomer)
        code, sentence = _beginning(line, REFUSED) or (0, "")
        if ended.code != code or sentence not in ended.text or "Traceback" in ended.text:
            wrong[line.text] = ended
    assert not wrong, "\n\n".join(f"{text}\nended with {ended.code}\n{ended.text}" for text, ended in wrong.items())
    if document != "README.md":  # which shows parts of what docs/ has in full
        names: dict[str, object] = {}
        for text in fenced(ROOT / document, "python"):
            if not _FILE.match(text):
                exec(text, names)


def _shorter(document: str, text: str) -> str:
    return text.replace(*SHORTER.get(document, ("", "")))


def test_every_python_block_is_run() -> None:
    """What is no file is run above; a file is run by a line of its page, or imported by another one of its blocks."""
    pages = {path.parent for path in (ROOT / "docs").rglob("*.md")}
    assert pages == {ROOT / "docs", ROOT / "docs" / "extending"}  # test_extending follows the latter
    idle = []
    for path in (ROOT / "docs").glob("*.md"):
        blocks = fenced(path, "python")
        lines = [line.text for line in shell_lines(path)]
        for text in blocks:
            if (named := _FILE.match(text)) and f"python {named[1]}" not in lines:
                imports = re.compile(rf"^(?:from|import) {Path(named[1]).stem}\b", re.MULTILINE)
                idle += [] if any(map(imports.search, blocks)) else [f"{path.name}: {named[1]}"]
    assert not idle


def test_documents_whose_reports_draw_figures_have_reports() -> None:
    for document in DRAWN:
        assert any(line.words[:2] == ["skiplab", "report"] for line in shell_lines(ROOT / document)), document


def test_what_is_trained_for_less_is_there() -> None:
    for document, (words, _) in SHORTER.items():
        assert any(words in text for text in fenced(ROOT / document, "python")), document


def test_lines_of_benchmarks_name_programs_that_are_there() -> None:
    lines = [line for line in inline_commands(ROOT / "benchmarks" / "README.md") if line.words[0] == "python"]
    assert lines
    assert [line.text for line in lines if not (ROOT / line.words[1]).is_file()] == []


def test_the_readme_has_the_lines_that_are_looked_for() -> None:
    """Else a table above would stand for a line that is gone."""
    lines = [line for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) for line in shell_lines(path)]
    for start in (*BUDGETS, *COMPOSED, *REFUSED):
        assert any(" ".join(line.words).startswith(start) for line in lines), start
