"""How W&B names what instruments read of a network's places."""

import re

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a whole part of a path, such as the 2 of encoder.2.conv1


def layer_key(quantity: str, path: str) -> str:
    """All in one section of a workspace, `layers/`, where a network's order is the alphabet's: 002 before 010."""
    return f"layers/{quantity}/{_NUMBER.sub(lambda found: found[0].zfill(3), path)}"
