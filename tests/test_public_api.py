"""What `import skiplab` offers: found by help and completion, imported when it is used."""

import importlib.util
import inspect
import pydoc
import typing

import pytest

import skiplab


def test_help_shows_every_function_with_its_arguments() -> None:
    text = pydoc.plain(pydoc.render_doc(skiplab))
    for name in skiplab.__all__:
        assert f"{name}(" in text
    assert "factors: " in text


@pytest.mark.parametrize("name", skiplab.__all__)
def test_every_function_is_documented_and_typed(name: str) -> None:
    function = getattr(skiplab, name)
    parameters = inspect.signature(function).parameters.values()
    assert inspect.getdoc(function)
    called = function.__init__ if inspect.isclass(function) else function
    assert typing.get_type_hints(called).keys() == {parameter.name for parameter in parameters} | {"return"}
    assert all(parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters)


def test_completion_knows_every_function() -> None:
    assert set(skiplab.__all__) <= set(dir(skiplab))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'skiplab' has no attribute 'lod'"):
        skiplab.lod  # noqa: B018


@pytest.mark.parametrize("name", skiplab.__all__)
def test_no_module_hides_a_public_name(name: str) -> None:
    """Importing skiplab.NAME would put the module in the place of the function."""
    assert importlib.util.find_spec(f"skiplab.{name}") is None
