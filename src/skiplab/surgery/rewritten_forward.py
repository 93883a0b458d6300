"""A copy of a module's forward in which some additions call a function instead."""

import __future__

import ast
import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from skiplab.surgery.torch_calls import CallSite

_ADD, _ADD_IN_PLACE = "_skiplab_add", "_skiplab_add_in_place"
_Position = tuple[int | None, int | None, int | None, int | None]


def rewritten_forward(
    forward: Callable[..., Any],
    numbers: Mapping[CallSite, int],
    replaced: Callable[..., Any],
    replaced_in_place: Callable[..., Any],
) -> Callable[..., Any] | None:
    """The forward, in which `left + right` at these sites is replaced(self, number, left, right).

    `left += right` is left = replaced_in_place(self, number, left, right).

    Its globals, defaults, closure and decorators are those of the original. None if this can't be done: if a site is
    outside the function, isn't written with + or +=, or if its source is missing or was changed.
    """
    chain = _decorators(forward)
    if chain is None:
        return None
    *decorators, function = chain
    code = function.__code__
    if any((site.file, site.function) != (code.co_filename, code.co_qualname) for site in numbers):
        return None
    positions = list(code.co_positions())
    wanted = {positions[site.instruction // 2]: number for site, number in numbers.items()}
    try:
        node = _source(function)
        if node is None or not _is_code_of(node, function):
            return None  # the file was changed since it was imported, or the code is made from something else
    except (OSError, SyntaxError, TypeError):
        return None
    if not node.args.args or _has_private_names(node):
        return None
    rewriter = _Rewriter(node.args.args[0].arg, wanted)
    node = rewriter.visit(node)
    if rewriter.missing:
        return None
    cells = {name: cell for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    cells[_ADD] = types.CellType(replaced)
    cells[_ADD_IN_PLACE] = types.CellType(replaced_in_place)
    compiled = _compiled(node, code, list(cells))
    copy = _copy(function, compiled, tuple(cells[name] for name in compiled.co_freevars))
    for decorator in reversed(decorators):
        copy = _around(decorator, function, copy)
        function = decorator
    return copy


def _decorators(forward: Callable[..., Any]) -> list[types.FunctionType] | None:
    """The function and the wrappers around it, from the outermost; None if one isn't a plain function around it."""
    chain = []
    while isinstance(forward, types.FunctionType):
        chain.append(forward)
        if not hasattr(forward, "__wrapped__"):
            return chain
        inner = vars(forward)["__wrapped__"]
        if not any(_content(cell) is inner for cell in forward.__closure__ or ()):
            return None
        forward = inner
    return None


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _source(function: types.FunctionType) -> ast.FunctionDef | None:
    """The function's source as a tree, whose positions are those in its file."""
    lines, first = inspect.getsourcelines(function)
    indented = lines[0][:1].isspace()
    tree = ast.parse(("if True:\n" if indented else "") + "".join(lines))
    ast.increment_lineno(tree, first - 1 - indented)
    body = tree.body[0].body if indented and isinstance(tree.body[0], ast.If) else tree.body
    node = body[0] if len(body) == 1 else None
    return node if isinstance(node, ast.FunctionDef) and node.name == function.__code__.co_name else None


def _is_code_of(node: ast.FunctionDef, function: types.FunctionType) -> bool:
    """Whether the function was compiled from it: by itself, as in a notebook, or with its file, which has imports."""
    code = function.__code__
    if _alike(_compiled(node, code, list(code.co_freevars)), code):
        return True
    lines, _ = inspect.findsource(function)
    place = code.co_qualname, code.co_firstlineno
    in_file = (each for each in _codes_in("".join(lines)) if (each.co_qualname, each.co_firstlineno) == place)
    return any(_alike(each, code) for each in in_file)


@functools.lru_cache(maxsize=8)  # a file has several classes
def _codes_in(source: str) -> Sequence[types.CodeType]:
    """All codes that a file is compiled to."""
    found = [compile(source, "", "exec", dont_inherit=True)]
    for each in found:
        found += [constant for constant in each.co_consts if isinstance(constant, types.CodeType)]
    return found


def _alike(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two codes do the same, wherever they stand."""
    if (one.co_code, one.co_names, len(one.co_consts)) != (other.co_code, other.co_names, len(other.co_consts)):
        return False
    return all(_same(each, as_well) for each, as_well in zip(one.co_consts, other.co_consts, strict=True))


def _same(constant: object, other: object) -> bool:
    if isinstance(constant, types.CodeType) and isinstance(other, types.CodeType):
        return _alike(constant, other)
    return type(constant) is type(other) and repr(constant) == repr(other)


def _has_private_names(node: ast.AST) -> bool:
    """Whether it has names that depend on the class around it, such as self.__weight."""
    names = [getattr(each, "attr", getattr(each, "id", "")) for each in ast.walk(node)]
    return any(name.startswith("__") and not name.endswith("__") for name in names)


class _Rewriter(ast.NodeTransformer):
    """Replaces the additions at some positions."""

    def __init__(self, first_argument: str, wanted: Mapping[_Position, int]) -> None:
        self.first_argument, self.missing = first_argument, dict(wanted)

    def _call(self, name: str, number: int, left: ast.expr, right: ast.expr) -> ast.Call:
        own = [ast.Name(self.first_argument, ast.Load()), ast.Constant(number), left, right]
        return ast.Call(ast.Name(name, ast.Load()), own, [])

    def _number(self, node: ast.expr | ast.stmt) -> int | None:
        position = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        return self.missing.pop(position, None)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        number = self._number(node) if isinstance(node.op, ast.Add) else None
        self.generic_visit(node)
        if number is None:
            return node
        return ast.copy_location(self._call(_ADD, number, node.left, node.right), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        wanted = isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name)
        number = self._number(node) if wanted else None
        self.generic_visit(node)
        if number is None or not isinstance(node.target, ast.Name):
            return node
        call = self._call(_ADD_IN_PLACE, number, ast.Name(node.target.id, ast.Load()), node.value)
        return ast.copy_location(ast.Assign([node.target], call), node)


def _compiled(node: ast.FunctionDef, like: types.CodeType, free: list[str]) -> types.CodeType:
    """The code of a function whose free variables are those of a function around it."""
    node.decorator_list = []
    arguments = ast.arguments([], [ast.arg(name) for name in free], None, [], [], None, [])
    around = ast.FunctionDef("_around", arguments, [node], [])
    tree = ast.fix_missing_locations(ast.Module([around], []))
    flags = like.co_flags & __future__.annotations.compiler_flag
    module = compile(tree, like.co_filename, "exec", flags=flags, dont_inherit=True)
    outer = next(each for each in module.co_consts if isinstance(each, types.CodeType))
    inner = next(each for each in outer.co_consts if isinstance(each, types.CodeType) and each.co_name == like.co_name)
    return inner.replace(co_qualname=like.co_qualname)


def _copy(function: types.FunctionType, code: types.CodeType, closure: tuple[types.CellType, ...]) -> Any:
    copy = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__dict__.update(function.__dict__)
    copy.__qualname__, copy.__module__, copy.__doc__ = function.__qualname__, function.__module__, function.__doc__
    copy.__annotations__ = dict(function.__annotations__)
    return copy


def _around(decorator: types.FunctionType, inner: Callable[..., Any], replacement: Callable[..., Any]) -> Any:
    """A copy of a wrapper, around another function."""
    closure = tuple(
        types.CellType(replacement) if _content(cell) is inner else cell for cell in decorator.__closure__ or ()
    )
    copy = _copy(decorator, decorator.__code__, closure)
    copy.__wrapped__ = replacement
    return copy
