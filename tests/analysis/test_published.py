import csv
import io

import pytest
from rich.console import Console

from skiplab.analysis.claims.published import against_study, here_text, read_published, render_published
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir

PRINTED = {
    "paper": "he2015", "table": "T6", "arm": "resnet-20", "metric": "test_error", "value": "8.75", "unit": "%",
    "citation": "He et al. 2015", "read_from": "the paper",
}  # fmt: skip
COUNTERPART = {
    "profile": "paper", "cell": "connection=identity;depth=8", "metric_here": "accuracy_val", "value_here": "0.9125",
    "tolerance": "0.005",
}  # fmt: skip
NO_COUNTERPART = dict.fromkeys(COUNTERPART, "")


def write(path, *rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*PRINTED, *COUNTERPART])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(("accuracies", "word"), [((0.91, 0.914), "agrees"), ((0.90, 0.914), "disagrees")])
def test_a_mean_is_held_against_what_was_printed(runs, tmp_path, accuracies, word):
    for seed, accuracy in enumerate(accuracies):
        for depth, own in ((4, 0.1), (8, accuracy)):
            choices, factors = {"connection": "identity"}, {"depth": depth}
            runs.trial(seed=seed, choices=choices, factors=factors, summary={"accuracy_val": own})
    published = read_published(write(tmp_path / "expected.csv", PRINTED | COUNTERPART, PRINTED | NO_COUNTERPART))
    study = read_study("s", runs.folder)
    (found,) = against_study(study, published, "paper")
    assert found.here.mean == pytest.approx(sum(accuracies) / 2)
    assert found.agreement == word
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_published([found]))
    shown = console.export_text()
    assert "T6, resnet-20: test_error" in shown
    assert f"{here_text(found)}" in shown
    assert against_study(study, published, "quick") == []


@pytest.mark.parametrize("cell", ["connection=plain", "depth=16", "norm=layer"])
def test_a_counterpart_that_was_not_trained_is_not_run(runs, tmp_path, cell):
    runs.trial(choices={"connection": "identity"}, factors={"depth": 8}, summary={"accuracy_val": 0.9})
    published = read_published(write(tmp_path / "expected.csv", PRINTED | COUNTERPART | {"cell": cell}))
    (found,) = against_study(read_study("s", runs.folder), published, "paper")
    assert (found.agreement, here_text(found)) == ("not run", "–")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tolerance": ""}, r"line 2: profile is 'paper', given beside it: metric_here, value_here; valid: all of"),
        ({"profile": ""}, r"profile is ''.*or none of them"),
        ({"value_here": "often"}, r"numbers in value_here and tolerance"),
        ({"cell": "depth"}, r"NAME=LEVEL"),
    ],
)
def test_half_a_counterpart_is_refused(tmp_path, changed, message):
    with pytest.raises(SkiplabError, match=message):
        read_published(write(tmp_path / "expected.csv", PRINTED | COUNTERPART | changed))


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "expected.csv").write_text("paper,table\n")
    with pytest.raises(SkiplabError, match=r"lacks the columns arm, metric"):
        read_published(tmp_path / "expected.csv")


@pytest.mark.parametrize("path", sorted(project_dir("experiments").glob("*/expected.csv")), ids=lambda p: p.parent.name)
def test_what_the_experiments_expect_can_be_read(path):
    published = read_published(path)
    assert published
    presets = {preset.stem for preset in (project_dir("conf") / "experiment" / path.parent.name).glob("*.yaml")}
    assert {row.profile for row in published if row.profile} <= presets
    assert len({row.what for row in published}) == len(published)
