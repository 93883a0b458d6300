"""What a study is asked in Python: the same for trained trials, for a table of one's own and in a notebook."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import skiplab
from example_records import write_example
from skiplab.analysis.claims.verdict_list import Verdicts
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.records.file_names import KEYS, STUDIES

SKILL = Metric(label="skill", direction="higher")
CLAIMS = """
question: Do <shortcuts> help?
factor: connection
control: plain
treatment: identity
claims:
  - {name: helps, text: Shortcuts help., metric: skill, contrast: difference, direction: higher, smallest_effect: 0.1}
  - {name: costs, text: Shortcuts cost., metric: skill, contrast: difference, direction: lower, smallest_effect: 0.1}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> skiplab.Study:
    """Two arms, 0.5 apart, at two depths and four seeds; one trial failed."""
    runs_dir = tmp_path_factory.mktemp("runs")
    keys = []
    for number in range(16):
        arm, depth, seed = ("plain", "identity")[number % 2], (4, 8)[number // 2 % 2], number // 4
        keys.append(f"{number:016x}")
        is_last = number == 15
        write_example(
            runs_dir,
            keys[-1],
            status="failed" if is_last else "done",
            choices={"connection": arm},
            factors={"depth": depth, "seed": seed},
            metrics={"skill": vars(SKILL)},
            summary={} if is_last else {"skill": 0.2 + 0.5 * (arm == "identity") + 0.01 * (seed * number % 3)},
        )
    folder = runs_dir / STUDIES / "own"
    folder.mkdir(parents=True)
    (folder / KEYS).write_text("\n".join(keys) + "\n")
    (runs_dir / "claims.yaml").write_text(CLAIMS)
    return skiplab.read_study("own", runs_dir)


@pytest.fixture(scope="module")
def table_of_results() -> skiplab.Study:
    runs = [(net, seed) for net in (0, 1) for seed in range(4)]
    losses = [1.0 + 0.1 * seed - 0.4 * net + 0.01 * (net * seed % 3) for net, seed in runs]
    rows = [{"net": net, "seed": seed, "loss": loss} for (net, seed), loss in zip(runs, losses, strict=True)]
    return skiplab.from_frame(pd.DataFrame(rows), arm="net", metrics={"loss": "lower"}, name="mine")


def test_a_study_says_what_it_is_in_a_line(study: skiplab.Study, table_of_results: skiplab.Study) -> None:
    assert repr(study) == (
        "Study own: 16 trials (15 done, 1 failed); connection (plain, identity), depth (4, 8), seed (0 to 3); 1 metric"
    )
    assert repr(table_of_results).startswith("Study mine: 8 trials (8 done); net (0, 1), seed (0 to 3)")
    html = study._repr_html_()
    assert "<th>connection</th><td>plain, identity</td>" in html
    assert "<code>.verdicts()</code>" in html
    assert "own" in html


def test_a_table_reads_as_in_the_terminal(study: skiplab.Study, table_of_results: skiplab.Study) -> None:
    table = study.table("skill")
    assert re.search(r"^depth  +plain  +identity  +difference", repr(table), re.MULTILINE)
    assert table.frame["effect"].round(1).tolist() == [0.5, 0.5]
    assert "<th>difference</th>" in table._repr_html_()
    turned = study.table(["skill"], control="identity")
    assert turned.frame["effect"].round(1).tolist() == [-0.5, -0.5]
    assert table_of_results.table().frame["effect"].item() == pytest.approx(-0.4 + 0.01 * 3 / 4)


def test_verdicts_are_had_by_name_and_read_as_in_the_terminal(study: skiplab.Study) -> None:
    with pytest.raises(SkiplabError, match=r"study own remembers no claims; in Python, .verdicts\('claims.yaml'\)"):
        study.verdicts()
    verdicts = study.verdicts(study.runs_dir / "claims.yaml")
    assert [verdict.conclusion for verdict in verdicts] == ["supported", "contradicted"]
    assert verdicts["costs"] is verdicts[1]
    assert repr(verdicts["costs"]) == "Verdict on costs: contradicted"
    assert [verdict.claim.name for verdict in verdicts[["costs"]]] == ["costs"]
    assert len(verdicts[:1]) == len([*verdicts[:1]]) == 1
    assert repr(verdicts).startswith("Do <shortcuts> help?\nAll verdicts: preliminary")
    assert "\n\nhelps: Shortcuts help.\n  supported in 2 of 2 cells" in repr(verdicts)
    html = verdicts._repr_html_()
    assert html.count("<details>") == html.count("claims file sha256") + 2 == 2
    assert "Do &lt;shortcuts&gt; help?" in html
    assert set(verdicts.frame["claim"]) == {"helps", "costs"}
    assert repr(study.verdicts()) == repr(verdicts), "the study remembers the file"
    with pytest.raises(SkiplabError, match="unknown claim 'help'; valid: helps, costs; did you mean 'helps'"):
        verdicts["help"]


def test_one_question_needs_no_file_and_is_exploratory(study: skiplab.Study, table_of_results: skiplab.Study) -> None:
    verdicts = study.compare("skill", smallest_effect=0.1)
    assert isinstance(verdicts, Verdicts)
    assert verdicts[0].conclusion == "supported"
    assert "exploratory: no claims file" in repr(verdicts)
    assert table_of_results.compare("loss")[0].conclusion == "supported"


def test_figures_and_the_page(study: skiplab.Study, tmp_path: Path) -> None:
    assert "headline" in study.figure_names
    assert study.figure().axes
    path = study.report()
    assert path == study.folder / "report.html"
    assert "Shortcuts help." in path.read_text()


WRONG: dict[str, Any] = {
    "unknown figure 'headlines'; valid: ": lambda study: study.figure("headlines"),
    "no trial of own has a value for the figure samples (15 done, 1 failed)": lambda study: study.figure("samples"),
    "unknown metric 'skil'; valid: skill": lambda study: study.table("skil"),
    "unknown control 'resnet'; valid: plain, identity": lambda study: study.table("skill", control="resnet"),
    "smallest_effect=-1 is invalid; valid: a number from 0": lambda study: study.compare("skill", smallest_effect=-1),
    "can't read the claims file none.yaml": lambda study: study.verdicts("none.yaml"),
    "no study 'owned' in ": lambda study: skiplab.read_study("owned", study.runs_dir),
    "claims.yaml is a file, and no study of that name": lambda study: skiplab.read_study(
        str(study.runs_dir / "claims.yaml"), study.runs_dir
    ),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_names_are_refused_in_a_sentence(sentence: str, study: skiplab.Study) -> None:
    with pytest.raises(SkiplabError, match=re.escape(sentence)):
        WRONG[sentence](study)


def test_completion_shows_what_can_be_asked(study: skiplab.Study) -> None:
    asked = {"trials", "history", "layers", "table", "verdicts", "compare", "figure", "figure_names", "report"}
    assert asked <= set(dir(study))
    assert all(getattr(skiplab.Study, name).__doc__ for name in asked - {"trials"})
