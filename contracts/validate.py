"""Fourth gate: an allow-list over the syntax tree. Iterative, so depth costs nothing; what is not listed is refused.

Only shape is judged here: which nodes, which binding forms, which literals. Names and calls are judged by
`contracts.resolve` and `contracts.rewrite`, which know the scopes.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable

from contracts import vocabulary as words
from contracts.limits import Limits
from contracts.parameters import all_arguments
from contracts.rules import Finding, SourceRejected, reject

_PLAIN = (
    ast.Module, ast.Return, ast.For, ast.While, ast.If, ast.Break, ast.Continue, ast.Pass, ast.Assert,
    ast.Expr,
    ast.BoolOp, ast.UnaryOp, ast.IfExp, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.match_case,
    ast.Load, ast.Store, ast.Del, ast.And, ast.Or, ast.Not, ast.Invert, ast.UAdd, ast.USub, ast.Add, ast.Sub, ast.Mult,
    ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd, ast.FloorDiv, ast.Eq, ast.NotEq,
    ast.Lt,
    ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn, ast.MatchSingleton, ast.MatchOr,
)  # fmt: skip
_BANNED: dict[str, str] = {
    "Import": "C031", "ImportFrom": "C031", "ClassDef": "C032", "AsyncFunctionDef": "C033", "AsyncFor": "C033",
    "AsyncWith": "C033", "Await": "C033", "Yield": "C034", "YieldFrom": "C034", "With": "C035", "Global": "C036",
    "Nonlocal": "C036", "Div": "C046", "MatMult": "C047", "MatchMapping": "C051", "MatchSequence": "C051",
    "MatchClass": "C051", "MatchStar": "C051", "TryStar": "C038", "TypeAlias": "C062", "TypeVar": "C062",
    "ParamSpec": "C062", "TypeVarTuple": "C062", "TemplateStr": "C050", "Interpolation": "C050",
}  # fmt: skip
_NEEDS_NAME = frozenset(("C030", "C050", "C051", "C062"))
"""Rules for several kinds of nodes: the refusal says which."""
_DEFAULTS = (
    ast.Constant, ast.Name, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
_CONVERSIONS = (-1, ord("r"), ord("s"))
_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_JUMPS = (ast.For, ast.While, ast.Try, ast.Return, ast.Break, ast.Continue, ast.Raise, ast.FunctionDef, ast.Match)


def parse(text: str, limits: Limits) -> ast.Module:
    """Third gate: parse as Python 3.11. The text of a syntax error is not consensus data, its code and line are."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, "<contract>", "exec", feature_version=(3, 11))
    except SyntaxError as error:
        raise reject("C020", error.lineno or 1, max(0, (error.offset or 1) - 1)) from None
    except (RecursionError, MemoryError):
        raise reject("C021", 1, 0, f"at most {limits.tree_depth}") from None
    except (ValueError, OverflowError):
        raise reject("C020", 1, 0) from None
    return tree


def measure(tree: ast.AST, limits: Limits) -> None:
    """Bound depth and number of nodes before anything recursive looks at the tree. An elif counts as its if."""
    pending: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    nodes, line = 0, 1
    while pending:
        node, depth, scopes = pending.pop()
        line = getattr(node, "lineno", line)
        nodes += 1
        if depth > limits.tree_depth:
            raise reject("C021", line, 0, f"at most {limits.tree_depth}")
        if nodes > limits.tree_nodes:
            raise reject("C022", line, 0, f"at most {limits.tree_nodes}")
        scopes = 0 if isinstance(node, ast.FunctionDef) else scopes + isinstance(node, _SCOPES)
        if scopes > limits.nested_scopes:
            raise reject("C045", line, 0, f"at most {limits.nested_scopes} inside each other")
        chained = isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
        for child in ast.iter_child_nodes(node):
            same = chained and isinstance(node, ast.If) and child is node.orelse[0]
            pending.append((child, depth if same else depth + 1, scopes))


class _Validator:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.findings: list[Finding] = []
        self.place = (1, 0)
        self.allowed: set[int] = set()
        self.skipped: set[int] = set()
        self.checks: dict[type[ast.AST], Callable[..., None]] = {
            ast.FunctionDef: self.function,
            ast.Name: self.name,
            ast.Constant: self.constant,
            ast.Attribute: self.attribute,
            ast.Call: self.call,
            ast.Compare: self.compare,
            ast.BinOp: self.binary,
            ast.Lambda: self.lambda_,
            ast.GeneratorExp: self.generator,
            ast.ListComp: self.comprehension,
            ast.DictComp: self.comprehension,
            ast.SetComp: self.comprehension,
            ast.comprehension: self.clause,
            ast.JoinedStr: self.fstring,
            ast.FormattedValue: self.nothing,
            ast.Starred: self.starred,
            ast.Delete: self.delete,
            ast.Raise: self.raise_,
            ast.Try: self.try_,
            ast.Match: self.match,
            ast.Assign: self.nothing,
            ast.ExceptHandler: self.handler,
            ast.MatchValue: self.match_value,
            ast.MatchAs: self.match_as,
            ast.AnnAssign: self.annotated,
            ast.AugAssign: self.augmented,
            ast.NamedExpr: self.nothing,
            ast.Dict: self.nothing,
            ast.keyword: self.keyword,
            ast.arguments: self.nothing,
            ast.arg: self.argument,
        }
        for kind in _PLAIN:
            self.checks[kind] = self.nothing

    def run(self, tree: ast.AST) -> list[Finding]:
        pending: list[tuple[ast.AST, tuple[int, int]]] = [(tree, (1, 0))]
        while pending:
            node, outer = pending.pop()
            if id(node) in self.skipped:
                continue
            self.place = (getattr(node, "lineno", outer[0]), getattr(node, "col_offset", outer[1]))
            check = self.checks.get(type(node))
            if check is None:
                name = type(node).__name__
                code = _BANNED.get(name, "C030")
                self.refuse(code, node, name if code in _NEEDS_NAME else "")
                continue
            check(node)
            self.containers(node)
            pending.extend((child, self.place) for child in reversed(list(ast.iter_child_nodes(node))))
        return sorted(self.findings, key=lambda found: (found.line, found.column, found.code))

    def refuse(self, code: str, node: ast.AST, detail: str = "") -> None:
        # operators and comprehension clauses have no place of their own
        line, column = getattr(node, "lineno", self.place[0]), getattr(node, "col_offset", self.place[1])
        self.findings.append(reject(code, line, column, detail).finding)

    def containers(self, node: ast.AST) -> None:
        """Displays and targets are places where a star may stand."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            stars = [id(item) for item in node.elts if isinstance(item, ast.Starred)]
            self.allowed.update(stars if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) else stars[:1])

    def nothing(self, node: ast.AST) -> None:
        """A node that may stand as it is."""

    def binding(self, name: str, node: ast.AST) -> None:
        if not name.isascii():
            self.refuse("C003", node, name.encode("ascii", "replace").decode())
        elif name.startswith("_") and name != "_":
            self.refuse("C052", node, name)
        elif name in words.UNBINDABLE and (isinstance(node, ast.FunctionDef) or name not in words.COMMON_WORDS):
            self.refuse("C053", node, name)

    def name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if not node.id.isascii():
                self.refuse("C003", node)
            elif node.id == "__name__":
                self.refuse("C052", node, "__name__; leave `if __name__ == ...` out, entries are called from outside")
            elif node.id.startswith("_") and node.id != "_":
                self.refuse("C052", node, node.id)
        else:
            self.binding(node.id, node)

    def function(self, node: ast.FunctionDef) -> None:
        self.binding(node.name, node)
        if getattr(node, "type_params", None):
            self.refuse("C062", node)
        if node.type_comment is not None:
            self.refuse("C059", node)
        self.parameters(node.args, node)
        for decorator in node.decorator_list:
            self.skipped.add(id(decorator))
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not isinstance(target, ast.Name) or target.id not in words.DECORATORS:
                self.refuse("C040", decorator)
        if node.returns is not None:
            self.skipped.add(id(node.returns))

    def parameters(self, node: ast.arguments, place: ast.AST) -> None:
        by_name = node.kwonlyargs or node.vararg
        if node.kwarg or (isinstance(place, ast.Lambda) and (node.posonlyargs or by_name)):
            self.refuse("C041", place, "**" if node.kwarg else "in a lambda")
        if sum(1 for _ in all_arguments(node)) > self.limits.parameters:
            self.refuse("C041", place, f"at most {self.limits.parameters}")
        for default in (*node.defaults, *node.kw_defaults):
            if default is not None:
                self.default(default)

    def default(self, node: ast.expr) -> None:
        if not all(isinstance(part, _DEFAULTS) for part in ast.walk(node)):
            self.refuse("C042", node)

    def argument(self, node: ast.arg) -> None:
        self.binding(node.arg, node)
        if node.annotation is not None:
            self.skipped.add(id(node.annotation))

    def annotated(self, node: ast.AnnAssign) -> None:
        self.skipped.add(id(node.annotation))
        if not isinstance(node.target, ast.Name) or not node.simple:
            self.refuse("C059", node)

    def augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Attribute):
            self.refuse("C054", node, "records are immutable, use .replace()")

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, float | complex):
            self.refuse("C017", node)
        elif value is Ellipsis:
            self.refuse("C049", node)
        elif type(value) is int and not self.limits.int_low <= value < self.limits.int_high:
            # -2**255 is written as an expression; a bare literal of 2**255 has no value in the language
            self.refuse("C016", node, "outside -2**255 .. 2**255-1")
        elif type(value) is str and any("\ud800" <= char <= "\udfff" for char in value):
            self.refuse("C002", node, "a lone surrogate, written as an escape; write the character itself")

    def attribute(self, node: ast.Attribute) -> None:
        if not node.attr.isascii():
            self.refuse("C003", node)
        elif node.attr.startswith("_"):
            self.refuse("C052", node, node.attr)
        elif not isinstance(node.ctx, ast.Load):
            self.refuse("C054", node, "records are immutable, use .replace()")

    def call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name | ast.Attribute):
            self.refuse("C056", node)
        host = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if host == "print":
            self.refuse("C064", node)
        if len(node.args) == 1 and (host in words.GENERATOR_HOSTS or method in words.GENERATOR_METHODS):
            self.allowed.add(id(node.args[0]))
        if host == "sum" and len(node.args) == 2 and isinstance(node.args[0], ast.GeneratorExp):
            self.allowed.add(id(node.args[0]))
        if host in ("map", "filter") and node.args:
            self.allowed.add(id(node.args[0]))
        for keyword in node.keywords:
            if keyword.arg == "key" and (host in words.KEY_HOSTS or method == "sort"):
                self.allowed.add(id(keyword.value))
        self.allowed.update(id(item) for item in node.args if isinstance(item, ast.Starred))

    def keyword(self, node: ast.keyword) -> None:
        if node.arg is None:
            self.refuse("C041", node, "**")
        elif not node.arg.isascii():
            self.refuse("C003", node)
        elif node.arg.startswith("_"):
            self.refuse("C052", node, node.arg)

    def binary(self, node: ast.BinOp) -> None:
        texts = isinstance(node.left, ast.JoinedStr) or (
            isinstance(node.left, ast.Constant) and isinstance(node.left.value, str | bytes)
        )
        if isinstance(node.op, ast.Mod) and texts:
            self.refuse("C080", node)

    def compare(self, node: ast.Compare) -> None:
        if len(node.ops) > self.limits.comparisons:
            self.refuse("C061", node, f"at most {self.limits.comparisons}")
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.Is | ast.IsNot):
                literal = isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
                if not literal:
                    self.refuse("C048", node)

    def lambda_(self, node: ast.Lambda) -> None:
        if id(node) not in self.allowed:
            self.refuse("C043", node)
        self.parameters(node.args, node)

    def generator(self, node: ast.GeneratorExp) -> None:
        if id(node) not in self.allowed:
            self.refuse("C044", node)
        self.comprehension(node)

    def comprehension(self, node: ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp) -> None:
        if len(node.generators) > self.limits.comprehension_clauses:
            self.refuse("C045", node, f"at most {self.limits.comprehension_clauses}")

    def clause(self, node: ast.comprehension) -> None:
        if node.is_async:
            self.refuse("C045", node.target, "async")

    def fstring(self, node: ast.JoinedStr) -> None:
        for part in node.values:
            if not isinstance(part, ast.FormattedValue):
                continue
            if part.conversion not in _CONVERSIONS:
                self.refuse("C050", node, "!a")
            spec = part.format_spec
            pieces = spec.values if isinstance(spec, ast.JoinedStr) else []
            if any(isinstance(piece, ast.FormattedValue) and piece.format_spec is not None for piece in pieces):
                self.refuse("C050", node, "a format in a format")
            if spec is not None and all(isinstance(piece, ast.Constant) for piece in pieces):
                self.skipped.add(id(spec))

    def starred(self, node: ast.Starred) -> None:
        if id(node) not in self.allowed:
            self.refuse("C058", node)

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if not isinstance(target, ast.Subscript):
                self.refuse("C039", node)

    def raise_(self, node: ast.Raise) -> None:
        call = node.exc
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Revert"
        if not named or node.cause is not None:
            name = call.func if isinstance(call, ast.Call) else call
            self.refuse("C037", node, name.id if isinstance(name, ast.Name) else "")

    def alternatives(self, count: int, node: ast.AST) -> None:
        """Cases and handlers become conditions inside each other, as elif does."""
        if count > self.limits.elif_chain:
            self.refuse("C015", node, f"at most {self.limits.elif_chain} cases or handlers")

    def match(self, node: ast.Match) -> None:
        self.alternatives(len(node.cases), node)

    def try_(self, node: ast.Try) -> None:
        self.alternatives(len(node.handlers), node)
        for inner in node.finalbody:
            if any(isinstance(found, _JUMPS) for found in ast.walk(inner)):
                self.refuse("C065", inner)

    def handler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None:
            self.refuse("C038", node, "`as` binds a host object")
        names = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for name in names:
            if not isinstance(name, ast.Name) or name.id in words.EXCEPTION_NAMES - words.PYTHON_ERRORS.keys():
                self.refuse("C038", node, name.id if isinstance(name, ast.Name) else "")
        if node.type is not None:
            self.skipped.add(id(node.type))

    def match_value(self, node: ast.MatchValue) -> None:
        value = node.value
        bare = value.operand if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) else value
        if not isinstance(bare, ast.Constant):
            self.refuse("C051", node)

    def match_as(self, node: ast.MatchAs) -> None:
        if node.pattern is not None or node.name is not None:
            self.refuse("C051", node, "a capture")


def validate(tree: ast.Module, limits: Limits) -> None:
    """Refuse a tree outside the allow-list: `SourceRejected` with the first finding in source order."""
    measure(tree, limits)
    found = findings(tree, limits)
    if found:
        raise SourceRejected(found[0])


def findings(tree: ast.Module, limits: Limits) -> list[Finding]:
    """All findings of the allow-list in source order, for lint and editors."""
    return _Validator(limits).run(tree)
