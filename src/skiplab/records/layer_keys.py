"""The names of the layers' readings in W&B."""

import re

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a whole part of a path, such as the 2 of encoder.2.conv1


def layer_key(quantity: str, path: str) -> str:
    """The name of a reading; all are in the section `layers/`, where padded numbers keep the order of the network."""
    return f"layers/{quantity}/{_NUMBER.sub(lambda found: found[0].zfill(3), path)}"
