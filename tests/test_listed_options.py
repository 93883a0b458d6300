"""The YAML of a user's own evaluator: flat below a header; any other shape is refused in one sentence."""

from pathlib import Path

import pytest

from hostile import outcome
from option_files import CONF, options
from skiplab.errors import SkiplabError
from skiplab.listed_options import LISTS
from skiplab.training.evaluate_record import evaluate_record
from tiny_trials import TINY

TARGET = "_target_: skiplab.evaluators.baselines.Baselines\n"
WRONG = {
    TARGET: (
        "evaluator._target_=skiplab.evaluators.baselines.Baselines belongs to no evaluator; begin the evaluator's YAML "
        "file with `# @package evaluator.NAME`"
    ),
    f"mine:\n  {TARGET}": "evaluator/mine.yaml nests its settings under `mine:`",
    f"# @package evaluator.mine\nmine:\n  {TARGET}": "evaluator/mine.yaml nests its settings under `mine:`",
}


def write(folder: Path, content: str) -> Path:
    own = folder / "own" / "evaluator"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(content)
    return own.parent


@pytest.mark.parametrize("axis", LISTS)
def test_each_option_begins_with_the_header_of_its_own_node(axis: str) -> None:
    for option in options(axis):
        assert (CONF / axis / f"{option}.yaml").read_text().startswith(f"# @package {axis}.{option}\n_target_: ")


@pytest.mark.parametrize("content", WRONG)
def test_another_shape_is_refused_before_training(content: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    own = write(tmp_path, content)
    code, text = outcome(["train", "--config-dir", str(own), *TINY, "evaluator=[mine]"], capsys)
    assert code == 1
    assert WRONG[content] in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", WRONG)
def test_another_shape_is_refused_before_a_record_is_measured(content: str, finished, tmp_path: Path) -> None:
    with pytest.raises(SkiplabError) as refused:
        evaluate_record(finished.record.folder, ["evaluator=[mine]"], write(tmp_path, content))
    assert WRONG[content] in str(refused.value)
