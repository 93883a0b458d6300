"""The YAML file of an instrument or evaluator: a trial takes several, so a header gives each a node of its own.

# @package evaluator.my_evaluator
_target_: my_module.MyEvaluator
num_images: 64
"""

from collections.abc import Mapping
from typing import Any

from skiplab.errors import SkiplabError

LISTS = ("instrument", "evaluator")  # axes of which a trial takes several options, by name


def check_flat(axis: str, option: str, content: Mapping[str, Any]) -> None:
    """Refuse a file that nests its settings under the option's name.

    Raises:
        SkiplabError: names the file, the line to remove and the header that replaces it.
    """
    if isinstance(content.get(option), Mapping) and "_target_" not in content:
        raise SkiplabError(
            f"{axis}/{option}.yaml nests its settings under `{option}:`; put `# @package {axis}.{option}` on that "
            "line instead, and do not indent the settings"
        )


def check_nodes(axis: str, nodes: Mapping[str, Any]) -> None:
    """Refuse settings that a file without its header, or with the header of another level, put beside the options.

    Raises:
        SkiplabError: names the setting, and the header that is missing.
    """
    for name, node in nodes.items():
        if not isinstance(node, Mapping):
            raise SkiplabError(
                f"{axis}.{name}={node} belongs to no {axis}; begin the {axis}'s YAML file with "
                f"`# @package {axis}.NAME`, where NAME is the file's name without .yaml"
            )
        check_flat(axis, name, node)
