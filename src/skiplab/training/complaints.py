"""All that is wrong with a configuration, told at once."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from skiplab.errors import SkiplabError

T = TypeVar("T")
_SETTING = re.compile(r"([\w.]+)=")


class Complaints:
    """What checks refuse, gathered until it is told; true where there is anything."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}  # by the setting that a sentence begins with, else by the sentence

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, check: Callable[..., T], *asked: Any, **settings: Any) -> T | None:
        """What a check gives; None where it refuses something, which is noted, once for each setting."""
        try:
            return check(*asked, **settings)
        except SkiplabError as error:
            self.note(str(error))
            return None

    def note(self, sentence: str) -> None:
        """Note what is refused; the first sentence about a setting counts."""
        named = _SETTING.match(sentence)
        self._found.setdefault(named[1] if named else sentence, sentence)

    def about(self, node: str) -> bool:
        """Whether a setting, or one of a node, was refused."""
        return any(name == node or name.startswith(f"{node}.") for name in self._found)

    def on(self, check: Callable[..., T], *parts: Any) -> T | None:
        """The same of a check that rests on parts; None where one of them was refused itself, and is None."""
        return None if any(part is None for part in parts) else self.of(check, *parts)

    def tell(self) -> None:
        """Raise what was found, one a line where there are several.

        Raises:
            SkiplabError: where anything was.
        """
        if len(self._found) == 1:
            raise SkiplabError(*self._found.values())
        if self._found:
            raise SkiplabError(
                "\n".join([f"{len(self._found)} settings can't stay as they are:", *self._found.values()])
            )
