"""A study where nothing can be written: what was asked for is printed, and one line says what wasn't written."""

import errno
from pathlib import Path

import pytest
from example_claims import CLAIMS

from skiplab.cli import main
from unwritable import refuse_writing

REFUSALS = [errno.EROFS, errno.ENOSPC]


@pytest.fixture(params=REFUSALS, ids=errno.errorcode.get)
def study(runs, fill, request, monkeypatch) -> Path:
    fill(effect=0.1, num_seeds=3)
    (runs.folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    refuse_writing(monkeypatch, runs.folder, request.param)
    return runs.folder


def told(out: str) -> list[str]:
    return [line for line in out.splitlines() if "can't write to" in line]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["table", "s"], "skill_train"),
        (["effects", "s"], "connection identity over plain"),
        (["report", "s", "--claims", "claims.yaml"], "Plain networks get worse with depth"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_answer_is_printed(study, words, answer, capsys) -> None:
    main([word.replace("claims.yaml", f"{study}/claims.yaml") for word in words] + ["--runs-dir", str(study)])
    out = capsys.readouterr().out
    assert answer in out
    (line,) = told(out)
    assert line.startswith(f"not written: can't write to {study / 'studies' / 's'}: ")
    assert not [path for path in study.rglob("*") if path.suffix in (".csv", ".html", ".parquet")]


def test_several_studies_are_read_as_one(runs, fill, monkeypatch, capsys) -> None:
    fill(effect=0.1, num_seeds=1)
    fill(study="t", effect=0.1, num_seeds=2, seed=1)
    refuse_writing(monkeypatch, runs.folder, errno.EROFS)
    main(["table", "s,t", "--runs-dir", str(runs.folder)])
    assert len(told(capsys.readouterr().out)) == 1
    assert not (runs.folder / "studies" / "s,t").exists()


@pytest.mark.parametrize("words", [["report", "s"], ["figures", "s", "--only", "headline"]], ids=" ".join)
def test_where_the_files_are_the_answer_it_is_an_error(study, words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--runs-dir", str(study)])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"skiplab: can't write to {study / 'studies' / 's'}")
    assert line.endswith("give it as --runs-dir")


def test_what_was_there_stays_as_it_was(runs, fill, monkeypatch, capsys) -> None:
    fill(effect=0.1, num_seeds=2)
    main(["table", "s", "--runs-dir", str(runs.folder)])
    before = {path: path.read_bytes() for path in runs.folder.rglob("*") if path.is_file()}
    runs.trial(seed=7, summary={"skill_train": 0.5})
    refuse_writing(monkeypatch, runs.folder, errno.ENOSPC)
    main(["table", "s", "--runs-dir", str(runs.folder)])
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"keys.txt"}, "a full disk cuts no file off"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_output_to_a_full_disk_is_one_sentence(runs, fill, monkeypatch, capfd) -> None:
    fill(effect=0.1, num_seeds=1)
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit) as ended:
            main(["table", "s", "--runs-dir", str(runs.folder)])
    assert ended.value.code == 1
    assert capfd.readouterr().err.startswith("skiplab: can't print: No space left on device")
