"""A configuration as YAML is what OmegaConf writes, and reads as it was."""

import pytest
from omegaconf import OmegaConf

from skiplab.records.plain_config import to_yaml

CONTENT = {
    "numbers": [1, -0.0, 1e-3, 1e20, 5e-324, float("inf"), float("-inf"), 2**63, True, False, None],
    "empty": [{}, [], ""],
    "nested": {"of": [[1, [2]], {"deep": {"er": [None]}}], "name with space": "é", "1": "key"},
}
TEXTS = (
    *("1e-3", "12", "1_000", "0x1f", "0o7", "1:30", "nan", ".nan", "inf", ".inf", "-Infinity", "+1", ".5", "1.", "-"),
    *("y", "N", "Yes", "off", "true", "null", "~", "None", "2020-01-01", "=", "<<", "?", "!tag", "&a", "*a", "@", "%"),
    *(
        "a: b",
        "a #b",
        "#",
        "- a",
        "[1]",
        "{a}",
        "'",
        '"',
        "\\",
        "a\nb\n",
        "\n",
        " x",
        "x ",
        "\t",
        "é",
        "\u2028",
        "\x7f",
    ),
    *("${seed}", "C:\\data", "word " * 60, "x" * 300),
)


def test_values_are_written_as_by_omegaconf() -> None:
    assert to_yaml(CONTENT) == OmegaConf.to_yaml(CONTENT)
    assert OmegaConf.create(to_yaml(CONTENT)) == OmegaConf.create(CONTENT)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_written_as_by_omegaconf_and_stays_a_text(text) -> None:
    content = {"key": text, "list": [text]}
    assert to_yaml(content) == OmegaConf.to_yaml(content)
    read = OmegaConf.create(to_yaml(content))
    assert OmegaConf.to_container(read) == content


def test_a_character_that_libyaml_escapes_stays() -> None:
    assert OmegaConf.create(to_yaml({"key": "😀"})) == {"key": "😀"}
