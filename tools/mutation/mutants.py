"""Every mutant of a module: its text with one point changed.

Sentences, f-strings, docstrings, annotations and decorators are left alone: what they change is for people to read,
or not seen at run time. A point is replaced by its place in the file, so all else stays letter by letter.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

NEGATED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
BOUNDARY: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
OPPOSITE: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
UNSEEN: Final = {"annotation", "returns", "decorator_list", "bases"}

T = TypeVar("T")


@dataclass(frozen=True)
class Mutant:
    """One change: `was` becomes `becomes`, in the function or class `where` (empty: the module itself)."""

    path: str
    line: int
    where: str
    was: str
    becomes: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The module with this change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {_short(self.was)}  =>  {_short(self.becomes)}"


def mutants(path: str, source: bytes) -> list[Mutant]:
    """All mutants of a module, in the order of the file. Each is a module that can be compiled."""
    found = list(_Walk(path, source).of(ast.parse(source), ""))
    return sorted(set(filter(lambda one: _compiles(one.applied(source)), found)), key=lambda one: (one.start, one.text))


class _Walk:
    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def of(self, node: ast.AST, where: str) -> Iterator[Mutant]:
        """The mutants of `node` and of all that is in it."""
        if isinstance(node, ast.JoinedStr) or _is_docstring(node) or _is_export(node):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}".lstrip(".")
        for target, becomes, dropped in _changes(node):
            yield self._mutant(target, becomes, where, dropped)
        for name, value in ast.iter_fields(node):
            if name in UNSEEN or (isinstance(node, ast.Subscript) and name == "slice" and _is_type(node)):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self.of(child, where)

    def _mutant(
        self, target: ast.expr | ast.stmt, becomes: ast.AST, where: str, dropped: ast.AST | None = None
    ) -> Mutant:
        text = ast.unparse(becomes)
        bare = isinstance(target, ast.stmt) or isinstance(becomes, ast.Constant | ast.Name | ast.List | ast.Set)
        return Mutant(
            path=self.path,
            line=getattr(dropped, "lineno", target.lineno),
            where=where,
            was=ast.unparse(dropped or target),
            becomes="(dropped)" if dropped else text,
            start=self.starts[target.lineno - 1] + target.col_offset,
            end=self.starts[(target.end_lineno or 0) - 1] + (target.end_col_offset or 0),
            text=text if bare else f"({text})",
        )


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST, ast.AST | None]]:
    """What of `node` itself becomes what, and which of its items is dropped by that, if it is one."""
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield node.test, ast.UnaryOp(ast.Not(), node.test), None
        case ast.comprehension():
            for condition in node.ifs:
                yield condition, ast.Constant(value=True), None
        case ast.Expr() | ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
            yield node, ast.Pass(), None
        case ast.Return() if node.value is not None and not _is_none(node.value):
            yield node, ast.Return(ast.Constant(None)), None
        case ast.expr():
            yield from ((node, changed, None) for changed in _replacements(node))
            yield from ((node, rest, dropped) for dropped, rest in _shorter(node))


def _replacements(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for table in (NEGATED, BOUNDARY):
                    if type(operator) in table:
                        yield _with(node, ops=[*node.ops[:place], table[type(operator)](), *node.ops[place + 1 :]])
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC and not (_is_text(node.left) or _is_text(node.right)):
            yield _with(node, op=ARITHMETIC[type(node.op)]())
        case ast.Call(func=ast.Name() as function) if function.id in OPPOSITE:
            yield _with(node, func=ast.Name(OPPOSITE[function.id], ast.Load()))
        case ast.Constant():
            yield from _constants(node.value)


def _shorter(node: ast.expr) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Each item of `node` that can be dropped, and `node` without it."""
    match node:
        case ast.BoolOp():
            for dropped, rest in _without_one(node.values):
                yield dropped, _with(node, values=rest) if len(rest) > 1 else rest[0]
        case ast.List(ctx=ast.Load()) | ast.Tuple(ctx=ast.Load()):
            yield from ((dropped, _with(node, elts=rest)) for dropped, rest in _without_one(node.elts))
        case ast.Set() if len(node.elts) > 1:
            yield from ((dropped, _with(node, elts=rest)) for dropped, rest in _without_one(node.elts))
        case ast.Dict():
            for place, key in enumerate(node.keys):
                keys, values = node.keys[:], node.values[:]
                del keys[place], values[place]
                yield key or node.values[place], _with(node, keys=keys, values=values)
        case ast.Call():
            yield from ((dropped, _with(node, keywords=rest)) for dropped, rest in _without_one(node.keywords))


def _constants(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and " " not in value:  # what has a space in it is a sentence
        yield ast.Constant(f"X{value}")


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _without_one(items: list[T]) -> Iterator[tuple[T, list[T]]]:
    for place, item in enumerate(items):
        yield item, [*items[:place], *items[place + 1 :]]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_export(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def _is_type(node: ast.Subscript) -> bool:
    """Whether this is `Mapping[str, int]`, not `items[0]`."""
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    return name[:1].isupper() or name in {"dict", "list", "tuple", "set", "frozenset", "type"}


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _compiles(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _short(text: str, most: int = 110) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most // 2] + " ... " + line[-most // 2 :]
