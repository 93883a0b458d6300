"""A study remembers its claims, and says of those that came late that they did; through the command line."""

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from example_claims import CLAIMS

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.study_claims import LATE, study_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.study.study import read_study
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.records import registrations as registered
from skiplab.records.registrations import came_late, find_claims, register, registrations
from skiplab.records.study_list import join_study
from skiplab.records.timestamps import in_utc, now

pytestmark = pytest.mark.usefixtures("undrawn")
OTHER = CLAIMS.replace("smallest_effect: 0.02", "smallest_effect: 0.03")


@pytest.fixture
def command(runs, capsys):
    """Run a command on study s; what it prints."""

    def run(name, *words, study="s"):
        main([name, study, *map(str, words), "--runs-dir", str(runs.folder)])
        return capsys.readouterr().out

    return run


def in_time(runs, path, study="s"):
    """Register claims as a sweep does before its first trial."""
    join_study(runs.folder, study, [], path)


def caveats(runs, study="s"):
    found = read_study(study, runs.folder)
    return {caveat for verdict in judge(found, study_claims(found)) for caveat in verdict.caveats}


def test_what_judged_a_study_once_judges_it_everywhere(fill, claims_file, command):
    runs = fill(effect=0.15, num_seeds=3)
    assert "claims" not in command("report")
    assert "sha256" in command("report", "--claims", claims_file())
    folder = runs.folder / "studies" / "s"
    assert (folder / "claims.yaml").read_text() == CLAIMS
    claims_file().unlink()
    (folder / "report.html").unlink()
    assert f"depth: {CLAIMS.split('text: ')[1].splitlines()[0]}" in command("report")
    assert "Verdicts" in (folder / "report.html").read_text()
    assert "forest.svg" in command("figures", "--only", "forest", "--format", "svg")
    study = read_study("s", runs.folder)
    assert study_claims(study).sha256 == sha256(CLAIMS.encode()).hexdigest()
    assert "Verdicts" in ServedPage("s", runs.folder, None, str)._drawn("1")


def test_the_note_says_where_claims_came_from_and_when(fill, claims_file, command):
    runs = fill(effect=0.15, num_seeds=3)
    path = claims_file()
    command("report", "--claims", path)
    (entry,) = json.loads((runs.folder / "studies" / "s" / "claims.json").read_text())
    assert entry["source"] == str(path)
    assert entry["sha256"] == sha256(CLAIMS.encode()).hexdigest()
    assert entry["registered"].endswith("+00:00")
    command("report")
    command("report", "--claims", path)
    assert len(registrations(runs.folder / "studies" / "s")) == 1


def test_claims_before_the_first_trial_carry_no_mark_and_later_ones_do(fill, runs, claims_file, command):
    in_time(runs, claims_file())
    fill(effect=0.15, num_seeds=4)
    assert caveats(runs) == {"at shared settings"}
    assert LATE not in " ".join(command("report").split())
    printed = " ".join(command("report", "--claims", claims_file(OTHER)).split())
    assert f"The verdict: at shared settings, {LATE}." in printed
    assert caveats(runs) == {"at shared settings", LATE}  # remembered
    command("report", "--claims", claims_file(CLAIMS))  # the first ones again
    assert caveats(runs) == {"at shared settings"}


def test_python_judges_without_a_mark_and_leaves_nothing(fill, claims_file):
    runs = fill(effect=0.15, num_seeds=4)
    verdicts = judge(read_study("s", runs.folder), read_claims(claims_file()))
    assert {caveat for verdict in verdicts for caveat in verdict.caveats} == {"at shared settings"}
    assert not (runs.folder / "studies" / "s" / "claims.yaml").exists()


def test_a_copy_that_gives_way_is_kept(fill, runs, claims_file, command):
    fill(effect=0.15, num_seeds=3)
    for text in (CLAIMS, OTHER):
        command("report", "--claims", claims_file(text))
    folder = runs.folder / "studies" / "s"
    assert (folder / "claims.yaml").read_text() == OTHER
    assert (folder / f"claims-{sha256(CLAIMS.encode()).hexdigest()[:12]}.yaml").read_text() == CLAIMS


def test_a_copy_that_is_edited_is_another_file(fill, runs, claims_file):
    in_time(runs, claims_file())
    fill(effect=0.15, num_seeds=3)
    (runs.folder / "studies" / "s" / "claims.yaml").write_text(OTHER)
    assert LATE in caveats(runs)
    hashes = [each.sha256 for each in registrations(runs.folder / "studies" / "s")]
    assert hashes == [sha256(text.encode()).hexdigest() for text in (CLAIMS, OTHER)]


def test_where_nothing_can_be_written_the_verdict_is_the_same(fill, runs, claims_file, monkeypatch):
    fill(effect=0.15, num_seeds=4)

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(registered, "write_atomically", refuse)
    study = read_study("s", runs.folder)
    assert study_claims(study, claims_file()).caveats == (LATE,)
    assert study_claims(study) is None


def test_a_disk_that_fills_up_leaves_what_was_remembered(fill, runs, claims_file, monkeypatch):
    in_time(runs, claims_file())
    fill(effect=0.15, num_seeds=3)
    write = registered.write_atomically

    def full(path, content):
        if path.name == "claims.yaml":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(registered, "write_atomically", full)
    study = read_study("s", runs.folder)
    assert study_claims(study, claims_file(OTHER)).caveats == (LATE,)
    assert study_claims(study).sha256 == sha256(CLAIMS.encode()).hexdigest()
    assert study_claims(study).caveats == ()


@pytest.mark.parametrize("text", ["claims: [", CLAIMS.replace("skill_train", "skil_train")])
def test_a_file_that_is_refused_is_not_remembered(fill, runs, claims_file, text, capsys):
    fill(effect=0.15, num_seeds=3)
    with pytest.raises(SystemExit):
        main(["report", "s", "--claims", str(claims_file(text)), "--runs-dir", str(runs.folder)])
    assert capsys.readouterr().err.startswith("skiplab: ")
    assert not list((runs.folder / "studies" / "s").glob("claims*"))


def test_several_studies_read_as_one_have_the_claims_that_all_have(fill, runs, claims_file):
    for name in ("a", "b"):
        in_time(runs, claims_file(), name)
        fill(name, effect=0.15, num_seeds=2)
    assert LATE not in caveats(runs, "a,b")
    in_time(runs, claims_file(OTHER), "b")
    assert study_claims(read_study("a,b", runs.folder)) is None
    study_claims(read_study("a,b", runs.folder), claims_file(CLAIMS))
    assert LATE not in caveats(runs, "a,b")
    study_claims(read_study("a,b", runs.folder), claims_file(OTHER))
    assert LATE in caveats(runs, "a,b")


def test_studies_that_remember_different_claims_say_so(fill, runs, claims_file, capsys):
    fill(effect=0.15, num_seeds=1)
    fill(effect=0.15, num_seeds=2, study="x")
    where = ["--runs-dir", str(runs.folder)]
    for given, told in (
        (["s"], "s has claims and x none; give --claims FILE"),
        (["x"], "s and x have different claims; give --claims FILE"),
    ):
        path = str(claims_file(CLAIMS + "\n" * len(given[0] + told)))
        main(["report", *given, "--claims", path, *where])
        capsys.readouterr()
        main(["report", "s,x", *where])
        assert told in capsys.readouterr().out.splitlines()
    main(["report", "s,x", "--claims", path, *where])
    main(["report", "s,x", *where])
    assert "give --claims" not in capsys.readouterr().out


def test_trials_of_another_study_count(fill, runs, claims_file):
    fill(effect=0.15, num_seeds=3)
    for key in read_study("s", runs.folder).trials["key"]:
        join_study(runs.folder, "later", [key], claims_file())  # the study has none when it gets its claims
    assert LATE in caveats(runs, "later")


@pytest.mark.parametrize("given", ["by trials", "by a command", "as a copy", "with no way to write"])
def test_the_claims_of_an_experiment_of_skiplab_are_older_than_any_trial(fill, runs, tmp_path, monkeypatch, given):
    fill(effect=0.15, num_seeds=3)
    path = find_claims("experiments/residual_in_diffusion/quick/claims.yaml")
    study = read_study("s", runs.folder)
    if given == "by trials":  # that join others, trained when nothing registered claims
        in_time(runs, path)
        assert study_claims(study).caveats == ()
        return
    if given == "as a copy":
        (tmp_path / "copy.yaml").write_bytes(path.read_bytes())
        path = tmp_path / "copy.yaml"
    if given == "with no way to write":
        monkeypatch.setattr(registered, "write_atomically", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only")))
    assert study_claims(study, path).caveats == ()
    (tmp_path / "edited.yaml").write_text(f"{path.read_text()}# mine\n")
    assert study_claims(study, tmp_path / "edited.yaml").caveats == (LATE,)


@pytest.mark.parametrize("start", [None, "yesterday", 5, ""])
def test_a_record_that_does_not_say_when_its_trial_started_is_listed(runs, start):
    good = runs.trial(summary={"skill_train": 0.5})
    runs.trial(seed=1, summary={"skill_train": 0.5}, provenance={"first_started": start})
    study = read_study("s", runs.folder)
    assert list(study.first_starts) == [good]
    (problem,) = study.problems
    assert problem.reason.startswith(f"its provenance.first_started is {start!r}; valid: ")


def test_a_trial_counts_from_its_first_start(runs, claims_file):
    in_time(runs, claims_file())
    runs.trial(summary={"skill_train": 0.5}, provenance={"started": now()})
    assert study_claims(read_study("s", runs.folder)).caveats == ()
    again = {"first_started": "2020-01-02T03:04:05", "started": now()}  # read as UTC where no zone is told
    key = runs.trial(seed=1, summary={"skill_train": 0.5}, provenance=again)
    study = read_study("s", runs.folder)
    assert study.first_starts[key] == "2020-01-02T03:04:05+00:00"
    assert study_claims(study).caveats == (LATE,)


def test_claims_and_trials_of_one_second_are_told_apart(runs, claims_file):
    in_time(runs, claims_file())
    (entry,) = registrations(folder := runs.folder / "studies" / "s")
    then, tick = in_utc(entry.registered), timedelta(milliseconds=1)
    assert [came_late(folder, entry.sha256, then + tick * ticks) for ticks in (-1, 0, 1)] == [True, False, False]


@pytest.mark.parametrize("way", ["report", "train"])
def test_a_clock_set_back_makes_no_claims_early(way, fill, runs, claims_file, monkeypatch):
    fill(effect=0.15, num_seeds=3)
    monkeypatch.setattr("skiplab.records.registrations.now", lambda: "2020-01-01T00:00:00.000+00:00")
    if way == "report":
        study_claims(read_study("s", runs.folder), claims_file())
    else:
        join_study(runs.folder, "s", [], claims_file())
    assert study_claims(read_study("s", runs.folder)).caveats == (LATE,)


def test_a_note_that_is_broken_is_told(fill, runs, claims_file):
    in_time(runs, claims_file())
    fill(effect=0.15, num_seeds=3)
    note = runs.folder / "studies" / "s" / "claims.json"
    for broken in ("[{", note.read_text().replace('"registered": "', '"registered": "on ')):
        note.write_text(broken)
        with pytest.raises(SkiplabError, match=r"claims.json can't be read .*restore it, or move it away"):
            study_claims(read_study("s", runs.folder))
        assert note.read_text() == broken


def test_a_file_is_registered_once_however_often_it_joins(runs, claims_file):
    for _ in range(3):
        in_time(runs, claims_file())
    in_time(runs, claims_file(OTHER))
    in_time(runs, claims_file(CLAIMS))  # known already: the later one stays
    folder = runs.folder / "studies" / "s"
    assert len(registrations(folder)) == 2
    assert (folder / "claims.yaml").read_text() == OTHER
    register(folder, claims_file(CLAIMS), CLAIMS.encode(), None)
    assert (folder / "claims.yaml").read_text() == CLAIMS
