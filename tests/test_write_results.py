"""The documents say what the published files say, without any training."""

import shutil
from pathlib import Path

import pytest

from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdict_text import badge, shared_caveats
from skiplab.analysis.text import markdown
from skiplab.reproduce import Experiment, experiments

ROOT = Path(__file__).resolve().parents[1]
NAME, PROFILE = "veit2016_lesion", "quick"
MARK = f"<!-- results: {NAME} {PROFILE} -->\n"


@pytest.fixture
def experiment(tmp_path, monkeypatch) -> Experiment:
    """A small published experiment in a folder of the test's own, beside a README.md that quotes it."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import write_results

    found = experiments()[NAME]
    shutil.copytree(found.folder, tmp_path / NAME)
    (tmp_path / "README.md").write_text(f"{MARK}old\n<!-- /results -->\n")
    monkeypatch.setattr(write_results, "ROOT", tmp_path)
    return found._replace(folder=tmp_path / NAME)


def test_the_words_of_a_published_study_are_written_anew_and_its_numbers_stay(experiment, tmp_path) -> None:
    from published_study import published_study, published_verdicts
    from write_results import write_documents

    readme, own = tmp_path / "README.md", tmp_path / NAME / "README.md"
    table = own.read_text().split(MARK)[1].split("```\n", 2)[-1].split("<!-- /results -->")[0].partition("| ")[2]
    write_documents(experiment, PROFILE)
    written = readme.read_text(), own.read_text()
    verdicts = published_verdicts(experiment, PROFILE, published_study(experiment, PROFILE))
    assert len(verdicts) == 2
    for verdict in verdicts:
        sentence = markdown(verdict_sentence(verdict))
        assert f"| {verdict.claim.text} | {badge(verdict, shared_caveats(verdicts))} |" in written[0]
        assert f"{verdict.claim.text} **" in written[1]
        assert sentence in written[1]
    assert len(table) > 100
    assert table in written[1]
    assert "<details><summary>Tests and evidence</summary>" in written[1]
    write_documents(experiment, PROFILE)
    assert (readme.read_text(), own.read_text()) == written


def test_it_stops_where_the_trials_give_other_verdicts(experiment) -> None:
    from write_results import write_documents

    path = experiment.folder / PROFILE / "trials.csv"
    header, *rows = path.read_text().splitlines()
    place = header.split(",").index("lesion_ratio")
    cells = [row.split(",") for row in rows]
    swapped = [",".join([*row[:place], "1.5" if "plain" in row else row[place], *row[place + 1 :]]) for row in cells]
    path.write_text("\n".join([header, *swapped]) + "\n")
    before = (experiment.folder / "README.md").read_text()
    with pytest.raises(SystemExit, match=r"verdicts.csv isn't what its trials.csv and its claims give"):
        write_documents(experiment, PROFILE)
    assert (experiment.folder / "README.md").read_text() == before
