"""Notebooks: what they show is what the current code prints, on the records that lie beside them."""

import math
import re
import runpy
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

from skiplab import cli
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.study.study import read_study
from skiplab.reproduce import reproduce

STUDY = "residual_in_diffusion_quick"
CLAIMS = "experiments/residual_in_diffusion/quick/claims.yaml"
ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ANSI = re.compile("\x1b\\[[0-9;]*m")
ABSOLUTE = re.compile(r"(?<![\w.:/<])(?:/[\w.~-]+){2,}|\b[A-Za-z]:\\")
NUMBER = re.compile(r"(?<![\w.])[-−+×]?\d+(?:\.\d+)?(?:e[-+]\d+)?")
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def publishing() -> SimpleNamespace:
    """What `python notebooks/publish.py` runs."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "notebooks" / "publish.py")))


def words_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def commands_of(path: Path) -> list[list[str]]:
    """The overrides of every `skiplab train` in a notebook's words."""
    return [shlex.split(found) for found in re.findall(r"skiplab train (-[^`\n]+)", words_of(path))]


CONNECTION = ROOT / "notebooks" / "04_add_your_own_connection.ipynb"
FENCED = re.compile(r"```(?:python|yaml)\n(# (\S+)\n.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory) -> Iterator[Path]:
    """A folder of one's own, holding the connection that a notebook adds, and a copy of the notebooks' records."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(ROOT / "notebooks" / "records", folder / "records")
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
def executed(newcomer, publishing) -> Callable[[Path], nbformat.NotebookNode]:
    """executed(path): a notebook with the outputs of its cells, run once."""

    @cache
    def execute(path: Path) -> nbformat.NotebookNode:
        notebook = nbformat.read(path, as_version=4)
        publishing.execute(notebook)
        return notebook

    return execute


def outputs_of(notebook: nbformat.NotebookNode) -> list[list[nbformat.NotebookNode]]:
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def text_of(output: nbformat.NotebookNode) -> str:
    """What a reader sees of an output as text, of a table its HTML; of a figure its kind alone."""
    if "image/png" in output.get("data", {}):
        return "a figure"
    return output.get("text") or output.data.get("text/html") or output.data.get("text/plain", "")


def same_but_for_machines(shown: str, printed: str) -> bool:
    """Whether two texts have the same words, and numbers that are equal up to rounding."""
    words = [re.sub("─+", "─", NUMBER.sub("#", text)).split() for text in (shown, printed)]
    pairs = zip(*(map(number_of, NUMBER.findall(text)) for text in (shown, printed)), strict=False)
    return words[0] == words[1] and all(math.isclose(*pair, rel_tol=0.02, abs_tol=1e-6) for pair in pairs)


def number_of(text: str) -> float:
    return float(text.replace("×", "").replace("−", "-"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("skill 0.7501 [0.2, 0.3]", "skill  0.7502 [0.2, 0.3]", True),
        ("difference 1.2e-16", "difference 3.4e-17", True),
        ("skill 0.75", "skill 0.78", False),
        ("supported in 1 of 2", "mixed in 1 of 2", False),
        ("+0.5", "-0.5", False),
        ("n 3", "n 3 n 4", False),
    ],
)
def test_texts_may_differ_by_rounding_alone(one: str, other: str, same: bool) -> None:
    assert same_but_for_machines(one, other) is same


@each_notebook
def test_notebook_is_stored_as_it_was_published(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [cell.source for cell in notebook.cells if cell.metadata] == []
    assert ABSOLUTE.findall("\n".join(cell.source for cell in notebook.cells)) == []
    shown = "\n".join(text_of(output) for outputs in outputs_of(notebook) for output in outputs)
    assert ABSOLUTE.findall(re.sub("<[^>]*>", " ", shown)) == []


@each_notebook
def test_notebook_says_what_it_asks_and_ends_with_exercises(path):
    words = words_of(path)
    assert words.index("**Question.**") < words.index("**Before you start.**") < words.index("## Exercises")
    assert re.findall(r"^\d\. ", words.split("## Exercises")[1], re.MULTILINE) == ["1. ", "2. ", "3. "]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@each_notebook
def test_notebook_shows_what_the_current_code_prints(path, executed):
    stored, now = (outputs_of(each) for each in (nbformat.read(path, as_version=4), executed(path)))
    sources = [cell.source for cell in executed(path).cells if cell.cell_type == "code"]
    for source, shown, printed in zip(sources, stored, now, strict=True):
        hint = f"run notebooks/publish.py, and look at what has changed: {source}"
        assert len(shown) == len(printed), hint
        texts = [[text_of(output) for output in outputs] for outputs in (shown, printed)]
        assert all(map(same_but_for_machines, *texts)), hint
    figures = [output for outputs in now for output in outputs if "image/png" in output.get("data", {})]
    assert figures


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@each_notebook
def test_a_kernel_shows_the_same(path, newcomer, executed):
    """That is what a reader's own run does: it shows figures without being told to."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": newcomer}}).execute()
    for own, others in zip(outputs_of(executed(path)), outputs_of(notebook), strict=True):
        assert list(map(text_of, own)) == list(map(text_of, others))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("undrawn")
def test_notebooks_and_commands_say_the_same_of_the_same_records(newcomer, executed, capsys):
    runs_dir = newcomer / "records"
    study, claims = read_study(STUDY, runs_dir), read_claims(ROOT / CLAIMS)
    said = {verdict.claim.name: verdict_sentence(verdict) for verdict in judge(study, claims)}
    assert len(set(said.values())) == len(claims.claims) == 3

    def told(text: str) -> list[str]:
        """The claims whose sentence was printed, on lines of any length."""
        words = " ".join(text.split())
        return [name for name, sentence in said.items() if sentence in words]

    for path, names in zip(PATHS, ([*said], ["gradient_flow"], ["depth_without_degradation"]), strict=False):
        outputs = [output for own in outputs_of(executed(path)) for output in own]
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


def test_checks_of_wrong_connections_say_what_is_wrong(monkeypatch):
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
