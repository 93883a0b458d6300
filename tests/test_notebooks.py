"""Notebooks: stored clean, and what they show can be run; on the records of their own example of a study."""

import re
import shlex
import sys
import time
from collections.abc import Callable
from functools import cache
from html import unescape
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from nbclient import NotebookClient
from traitlets.config import Config

from skiplab import cli
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.reproduce import reproduce

STUDY = "residual_in_diffusion_quick"
CLAIMS = "experiments/residual_in_diffusion/quick/claims.yaml"
ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ANSI = re.compile("\x1b\\[[0-9;]*m")
ABSOLUTE = re.compile(r"(?<![\w.:/<])(?:/[\w.~-]+){2,}|\b[A-Za-z]:\\")
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def words_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def commands_of(path: Path) -> list[list[str]]:
    """The overrides of every `skiplab train` in a notebook's words."""
    return [shlex.split(found) for found in re.findall(r"skiplab train (-[^`\n]+)", words_of(path))]


CONNECTION = ROOT / "notebooks" / "04_add_your_own_connection.ipynb"
FENCED = re.compile(r"```(?:python|yaml)\n(# (\S+)\n.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A folder of one's own, holding the connection that a notebook adds."""
    folder = tmp_path_factory.mktemp("newcomer")
    for text, name in FENCED.findall(words_of(CONNECTION)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def runs_dir(newcomer):
    """The study that the notebook's command trains, by the shortest trials that leave every reading."""
    (command,) = commands_of(CONNECTION)
    command[command.index("run.study=mine")] = f"run.study={STUDY}"
    short = ["width=8", "norm.num_groups=4", "batch_size=16", "trainer.max_steps=3", "logger=none"]
    short += ["evaluator=[denoising_loss,baselines]", "eval_batch.num_images=8", "eval_batch.num_levels=2"]
    short += ["instrument.gradient_flow.every_n_steps=1", "hydra/launcher=basic"]  # in this process: no starts to pay
    cli.train_main([*command, *short, f"run.claims={CLAIMS}", f"run.runs_dir={newcomer}/runs"])
    return newcomer / "runs"


def execute_here(notebook: nbformat.NotebookNode) -> None:
    """Add the outputs of its cells as a kernel would, without the seconds that one takes to start."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    select_figure_formats(shell, {"png"})
    try:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                with shell.display_trap, capture_output() as captured:  # else the hook would be the shell's own again
                    shell.run_cell(cell.source).raise_error()
                shown = [nbformat.v4.new_output("display_data", data=each.data) for each in captured.outputs]
                printed = [nbformat.v4.new_output("stream", text=captured.stdout)] if captured.stdout else []
                cell.outputs = [*printed, *shown]
    finally:
        InteractiveShell.clear_instance()


@pytest.fixture(scope="module")
def executed(runs_dir) -> Callable[..., nbformat.NotebookNode]:
    """executed(path, kernel=...): a notebook with the outputs of its cells, run once; the first always by a kernel.

    That is what a reader sees: it shows figures without being told to.
    """

    @cache
    def execute(path: Path, *, kernel: bool) -> nbformat.NotebookNode:
        notebook = nbformat.read(path, as_version=4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SKIPLAB_RUNS", str(runs_dir))
            patch.setenv("SKIPLAB_STUDY", STUDY)
            if kernel or path == PATHS[0]:
                NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
            else:
                execute_here(notebook)
        return notebook

    return execute


@each_notebook
def test_notebook_is_stored_clean(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 3
    assert [cell.source for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert [cell.source for cell in notebook.cells if cell.metadata] == []
    assert ABSOLUTE.findall("\n".join(cell.source for cell in notebook.cells)) == []


@each_notebook
def test_notebook_says_what_it_asks_and_ends_with_exercises(path):
    words = words_of(path)
    assert words.index("**Question.**") < words.index("**Before you start.**") < words.index("## Exercises")
    assert re.findall(r"^\d\. ", words.split("## Exercises")[1], re.MULTILINE) == ["1. ", "2. ", "3. "]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kernel", [False, pytest.param(True, marks=pytest.mark.slow)])
@each_notebook
def test_notebook_runs_and_shows_its_figures(path, kernel, executed):
    run = executed(path, kernel=kernel)
    outputs = [output for cell in run.cells for output in cell.get("outputs", ())]
    shown = [output.data for output in outputs if "data" in output]
    figures = [data for data in shown if re.search(r"<\w*Figure", data["text/plain"])]
    assert figures
    assert all("image/png" in data for data in figures)


def run_code(path: Path) -> None:
    """A notebook's cells in this process, without what they display."""
    names: dict[str, object] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)


@pytest.mark.parametrize("path", PATHS[1:3], ids=lambda path: path.stem)
def test_what_a_study_lacks_is_said_first(path, runs_dir, monkeypatch):
    shallow = runs_dir / "studies" / "shallow" / "keys.txt"
    shallow.parent.mkdir(exist_ok=True)
    shallow.write_text(f"{read_study(STUDY, runs_dir).trials['key'].iloc[0]}\n")
    monkeypatch.setenv("SKIPLAB_RUNS", str(runs_dir))
    monkeypatch.setenv("SKIPLAB_STUDY", "shallow")
    with pytest.raises(SkiplabError, match="compares depths, and study shallow has one"):
        run_code(path)


def test_a_study_without_the_claim_is_told_so_first(runs_dir, monkeypatch):
    bare = runs_dir / "studies" / "bare" / "keys.txt"
    bare.parent.mkdir()
    bare.write_bytes((runs_dir / "studies" / STUDY / "keys.txt").read_bytes())
    monkeypatch.setenv("SKIPLAB_RUNS", str(runs_dir))
    monkeypatch.setenv("SKIPLAB_STUDY", "bare")
    with pytest.raises(SkiplabError, match="study bare remembers no claim depth_without_degradation"):
        run_code(PATHS[2])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("undrawn")
def test_notebooks_and_commands_say_the_same_of_the_same_records(runs_dir, executed, capsys):
    study, claims = read_study(STUDY, runs_dir), read_claims(ROOT / CLAIMS)
    said = {verdict.claim.name: verdict_sentence(verdict) for verdict in judge(study, claims)}
    assert len(set(said.values())) == len(claims.claims) == 3

    def told(text: str) -> list[str]:
        """The claims whose sentence was printed, on lines of any length."""
        words = " ".join(text.split())
        return [name for name, sentence in said.items() if sentence in words]

    for path, names in zip(PATHS, ([*said], ["gradient_flow"], ["depth_without_degradation"]), strict=False):
        outputs = [output for cell in executed(path, kernel=False).cells for output in cell.get("outputs", ())]
        text = "\n".join(output.get("text") or output.data["text/plain"] for output in outputs)
        assert told(ANSI.sub("", text)) == names
    capsys.readouterr()
    reproduce("residual_in_diffusion", "quick", [f"run.runs_dir={runs_dir}"], train=lambda words: None)
    assert told(capsys.readouterr().out) == [*said]
    cli.main(["report", STUDY, "--runs-dir", str(runs_dir)])
    assert told(capsys.readouterr().out) == [*said]
    served = ServedPage(STUDY, runs_dir, None, str)
    while served.shown.version == "none":
        served.look_soon()
        time.sleep(0.05)
    by_text = {claim.text: said[claim.name] for claim in claims.claims}
    for html in ((runs_dir / "studies" / STUDY / "report.html").read_text(), served.shown.html):
        shown = re.findall(r'<h3>(.*?)</h3>\s*<p class="sentence">(.*?)</p>', html)
        assert {unescape(text): unescape(sentence) for text, sentence in shown} == by_text
        assert f"Claims file sha256 {claims.sha256[:12]}" in html


def test_checks_of_wrong_connections_say_what_is_wrong(runs_dir, monkeypatch):
    """What the notebook promises of its wrong connections, run in process."""
    cells = [cell.source for cell in nbformat.read(CONNECTION, as_version=4).cells if cell.cell_type == "code"]
    said: list[str] = []
    names = {"print": lambda text: said.append(str(text))}
    for source in cells[:4]:
        exec(source, names)
    assert len(said) == 2
    assert "no gradient reaches the update" in said[0]
    assert "overwrites the update" in said[1]


def test_notebook_and_readme_add_the_same_connection():
    readme = (ROOT / "README.md").read_text()
    found = FENCED.findall(words_of(CONNECTION))
    assert [name for _, name in found] == ["mine/half_life.py", "mine/conf/connection/half_life.yaml"]
    assert all(text in readme for text, _ in found)


@each_notebook
def test_train_commands_compose(path, newcomer, capsys):
    for command in commands_of(path):
        swept = [re.sub(r"=([^\[,]*),.*", r"=\1", word) for word in command if word != "-m"]  # the first of its values
        cli.train_main([*swept, "--cfg", "job"])
        assert "connection:" in capsys.readouterr().out
