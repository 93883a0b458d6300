"""Collects all that is wrong with a configuration, so that it is reported at once."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from skiplab.errors import SkiplabError

T = TypeVar("T")
_SETTING = re.compile(r"([\w.]+)=")


class Problems:
    """The errors that checks raise; truthy if there are any."""

    def __init__(self) -> None:
        self._messages: dict[str, str] = {}  # by the setting that a message begins with, else by the message

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, message: str) -> None:
        """Add a message; of several about one setting, the first is kept."""
        named = _SETTING.match(message)
        self._messages.setdefault(named[1] if named else message, message)

    def attempt(self, function: Callable[..., T], *arguments: Any, **settings: Any) -> T | None:
        """Call a function and return its result; None if it raises a SkiplabError, which is added."""
        try:
            return function(*arguments, **settings)
        except SkiplabError as error:
            self.add(str(error))
            return None

    def attempt_with(self, function: Callable[..., T], *components: Any) -> T | None:
        """The same for a function of components; None if one of them is None because it couldn't be made."""
        return None if any(component is None for component in components) else self.attempt(function, *components)

    def concern(self, node: str) -> bool:
        """Whether there is a problem with a setting, or with one of a node's settings."""
        return any(name == node or name.startswith(f"{node}.") for name in self._messages)

    def raise_all(self) -> None:
        """Report the problems, one per line if there are several.

        Raises:
            SkiplabError: if there are any.
        """
        if len(self._messages) == 1:
            raise SkiplabError(*self._messages.values())
        if self._messages:
            raise SkiplabError("\n".join([f"{len(self._messages)} settings are invalid:", *self._messages.values()]))
