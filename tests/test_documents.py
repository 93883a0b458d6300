"""README and docs/: what they say is there, is there. Their lines and blocks are run by test_shell_lines."""

import json
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from option_files import every_option
from shell_lines import fenced
from skiplab import cli
from skiplab.analysis.claims.claims_file import read_claims

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def section(title: str, page: str = "README.md") -> str:
    return (ROOT / page).read_text().split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_readme_is_read_in_minutes():
    assert len(README.splitlines()) <= 150


def test_file_map_matches_the_disk():
    named = set(
        re.findall(r"`([\w/]+/)`", section("Where things live, and what flows through them", "CONTRIBUTING.md"))
    )
    missing = [path for path in named if not (ROOT / path).is_dir()]
    assert not missing
    packages = {path for path in (ROOT / "src" / "skiplab").iterdir() if (path / "__init__.py").exists()}
    folders = {f"{path.relative_to(ROOT)}/" for path in packages}
    folders |= {f"{name}/" for name in ("conf", "experiments", "tests", "notebooks", "docs", "src/hydra_plugins")}
    assert folders <= named


@pytest.fixture(scope="module")
def generated() -> SimpleNamespace:
    """What `make docs` runs."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "experiments" / "generated_tables.py")))


@pytest.mark.parametrize(
    ("page", "mark", "made_by"),
    [
        ("README.md", "experiments", "experiments_list"),
        ("docs/papers.md", "experiments", "experiments_table"),
        ("docs/papers.md", "decided", "decided_table"),
    ],
)
def test_experiments_are_up_to_date(page: str, mark: str, made_by: str, generated) -> None:
    found = (ROOT / page).read_text().split(f"<!-- {mark} -->\n")[1].split(f"<!-- /{mark} -->")[0]
    assert found == getattr(generated, made_by)(), "run `make docs`"


def test_the_page_of_options_says_nothing_stale(generated) -> None:
    """An option that was just added may still be missing there: it needs no file but its own two."""
    lines = (ROOT / "docs" / "options.md").read_text(encoding="utf-8").splitlines()
    assert set(lines) <= set(generated.options_page().splitlines()), "run `make docs`"


def test_the_page_of_measurements_says_nothing_stale(generated) -> None:
    lines = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8").splitlines()
    assert set(lines) <= set(generated.measurements_page().splitlines()), "run `make docs`"


def test_every_option_has_a_row(generated) -> None:
    sections = dict(part.split("\n", 1) for part in generated.options_page().split("## ")[1:])
    assert [(axis, name) for axis, name in every_option() if f"\n| `{name}` | " not in sections[axis]] == []


def test_marked_text_is_replaced_alone(tmp_path, generated) -> None:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- results: a quick -->\nold\n<!-- /results -->\nafter\n")
    for _ in range(2):
        generated.replace_marked(path, "results: a quick", "new\n")
        assert path.read_text() == "before\n<!-- results: a quick -->\nnew\n<!-- /results -->\nafter\n"
    with pytest.raises(SystemExit, match="must hold the marks <!-- axes --> and <!-- /axes --> once, found 0"):
        generated.replace_marked(path, "axes", "new\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pictures_and_links_exist(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text())
    for target, heading in targets:
        other = page.parent / target if target else page
        assert other.exists(), target
        if heading and other.suffix == ".md":
            assert heading in _anchors(other), f"{target}#{heading}"


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("claims", sorted(ROOT.glob("experiments/*/**/claims.yaml")), ids=str)
def test_all_claims_can_be_read_and_have_a_preset_or_a_script(claims):
    assert read_claims(claims).claims
    name, *profile = claims.parent.relative_to(ROOT / "experiments").parts
    presets = list((ROOT / "conf" / "experiment" / name).glob(f"{'/'.join(profile) or '*'}.yaml"))
    assert presets or (ROOT / "experiments" / name / "study.py").exists()


@pytest.mark.parametrize("result", sorted(ROOT.glob("experiments/*/*/result.json")), ids=str)
def test_published_verdicts_carry_the_hash_of_their_claims_file(result):
    own = result.parent / "claims.yaml"
    claims = read_claims(own if own.exists() else result.parent.parent / "claims.yaml")
    assert json.loads(result.read_text())["claims_sha256"] == claims.sha256
    assert set(pd.read_csv(result.parent / "verdicts.csv")["claims_sha256"]) == {claims.sha256}


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """A folder of one's own, holding the README's example of a connection."""
    example = section("Add a connection in ten lines")
    python, yaml = re.findall(r"```(?:python|yaml)\n(.*?)```", example, re.DOTALL)
    for text in (python, yaml):
        path = tmp_path / re.match(r"# (\S+)\n", text)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def test_lines_of_the_readme_stand_in_full_in_docs():
    """There test_shell_lines runs them."""
    (found,) = fenced(ROOT / "docs" / "networks.md", "python")
    (short,) = re.findall(r"```python\n(.*?)```", section("Your question"), re.DOTALL)
    study, *others = short.splitlines()
    assert any(study in text for text in fenced(ROOT / "docs" / "own_network.md", "python"))
    assert all(line.split("(")[0] in found for line in others)


def test_ten_line_connection_passes_its_contracts_and_trains(newcomer, capsys):
    check = re.search(r"`skiplab.testing.(check_connection\(HalfLife\))`", README)
    exec(f"from mine.half_life import HalfLife\nfrom skiplab.testing import check_connection\n{check[1]}", {})
    short = ["depth=4", "width=8", "trainer.max_steps=2", "logger=none", "evaluator=[denoising_loss,baselines]"]
    short += ["eval_batch.num_images=8", "run.study=mine"]
    cli.train_main(["-m", "--config-dir", "mine/conf", "connection=plain,half_life", "seed=0,1", *short])
    cli.main(["table", "mine", "--metric", "loss_val"])
    table = capsys.readouterr().out
    assert "half_life" in table
    assert "4 trials: 4 done" in table
