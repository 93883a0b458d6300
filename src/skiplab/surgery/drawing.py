"""The shortcuts of a network as a drawing."""

from collections.abc import Sequence
from html import escape

from skiplab.surgery.shortcut import Kind, Shortcut

_COLORS: dict[Kind, str] = {
    "identity": "#0072b2",
    "projection": "#e69f00",
    "long skip": "#009e73",
    "conditioning": "#999999",
    "uncertain": "#d55e00",
}
_ROW, _STREAM, _INDENT, _BRANCH, _MOST = 34, 40, 18, 90, 400


def drawing(shortcuts: Sequence[Shortcut]) -> str:
    """An SVG: the stream is the vertical line, each shortcut a row with its branch beside the line.

    A filled circle is an addition that a connection can replace, an empty one is not. The deeper a shortcut is nested,
    the farther right is its circle.
    """
    shown = shortcuts[:_MOST]
    height = _ROW * (len(shown) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="720" height="{height}" fill="white"/>',
        *_legend(),
        f'<line x1="{_STREAM}" y1="{_ROW}" x2="{_STREAM}" y2="{height - 10}" stroke="black" stroke-width="2"/>',
    ]
    for row, shortcut in enumerate(shown, start=2):
        parts += _row(shortcut, row * _ROW)
    parts.append("</svg>")
    left_out = len(shortcuts) - len(shown)
    return "".join(parts) + (f"<p>and {left_out} more</p>" if left_out else "")


def _legend() -> list[str]:
    parts, x = [], _STREAM
    for kind, color in _COLORS.items():
        parts += [f'<circle cx="{x}" cy="12" r="5" fill="{color}"/>', f'<text x="{x + 10}" y="16">{kind}</text>']
        x += 110
    return parts


def _row(shortcut: Shortcut, y: int) -> list[str]:
    color = _COLORS[shortcut.kind]
    x = _STREAM + _INDENT * shortcut.level
    fill = color if shortcut.is_replaceable else "white"
    within = f"{shortcut.path}."
    branch = " ".join(name.removeprefix(within) for name in shortcut.branch)
    label = f"{shortcut.path or '(the model)'} {shortcut.call if shortcut.call >= 0 else ''} · {shortcut.operation}"
    label += f" · {'x'.join(map(str, shortcut.shape))}" + (f" · {branch}" if branch else "")
    arc = f'<path d="M {x} {y - 24} C {x + _BRANCH} {y - 24} {x + _BRANCH} {y} {x} {y}" fill="none" stroke="{color}"/>'
    return [
        f"<g><title>{escape(label)}</title>",
        arc if shortcut.branch else f'<line x1="{x}" y1="{y}" x2="{x + _BRANCH // 2}" y2="{y}" stroke="{color}"/>',
        f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}" stroke="{color}" stroke-width="2"/>',
        f'<text x="{x + _BRANCH}" y="{y + 4}">{escape(label if len(label) < 90 else label[:88] + "…")}</text></g>',
    ]
