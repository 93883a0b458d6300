"""The command line's own words."""

import pytest

from skiplab import cli


@pytest.mark.parametrize(
    "arguments", [["--profile", "quick", "seed=1", "depth=4"], ["seed=1", "--profile", "quick", "depth=4"]]
)
def test_overrides_stand_before_or_behind_options(arguments: list[str], monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(cli, "reproduce", lambda *given: seen.append(given))
    cli.main(["reproduce", "every_connection", *arguments])
    assert seen == [("every_connection", "quick", ["seed=1", "depth=4"])]


@pytest.mark.parametrize("arguments", [["table", "mine", "seed=1"], ["reproduce", "every_connection", "--fast"]])
def test_words_that_mean_nothing_are_refused(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert f"unrecognized arguments: {arguments[-1]}" in capsys.readouterr().err
