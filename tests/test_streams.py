"""Whatever is printed is shown: a sign that an encoding lacks gets a plain twin."""

import io

import pytest

from skiplab.cli.streams import allow_any_text

TEXT = "– − × ≥ é … \ud800 図"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "- - x >= e ... ? ?"),
        ("latin-1", "- - × >= é ... ? ?"),
        ("utf-8", "– − × ≥ é … ? 図"),
    ],
)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_sign_that_an_encoding_lacks_gets_a_twin(name, encoding, shown, monkeypatch) -> None:
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding=encoding)
    monkeypatch.setattr(f"sys.{name}", stream)
    allow_any_text()
    print(TEXT, end="", file=stream, flush=True)
    assert content.getvalue().decode(encoding) == shown


def test_streams_that_are_no_files_are_left_alone(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stderr", None)
    allow_any_text()
