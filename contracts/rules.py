"""What a contract source is refused for: one table of rule codes for lint, deploy and editors."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import GridchainError

RULES: dict[str, tuple[str, str]] = {
    # bytes
    "C001": ("the source is not strict UTF-8 without a byte order mark", "save the file as UTF-8 without BOM"),
    "C002": ("a control, bidirectional or invisible character", "use spaces, line feeds and visible characters only"),
    "C003": ("a non-ASCII character outside string literals and comments", "use ASCII in code"),
    "C004": ("the source is too large", "split the contract"),
    "C005": ("a coding declaration", "remove it, sources are always UTF-8"),
    # tokens
    "C010": ("brackets nested too deeply", "use intermediate variables"),
    "C011": ("blocks indented too deeply", "move inner blocks into functions"),
    "C012": ("a line that is too long", "break the line"),
    "C013": ("a logical line with too many tokens", "split the statement"),
    "C014": ("too many prefix operators in a row", "simplify the expression"),
    "C015": ("too many alternatives: elif, case or except", "use a dict, or split the statement"),
    "C016": ("an integer literal with too many digits", "integers have 256 bits"),
    "C017": ("a float or complex literal", "use scaled integers"),
    "C018": ("a token that is not part of the language", "check quotes, brackets and indentation"),
    # parse
    "C020": ("a syntax error", "run the file through Python 3.11"),
    "C021": ("an expression or block tree that is too deep", "use intermediate variables or functions"),
    "C022": ("too many syntax nodes", "split the contract"),
    # statements
    "C030": ("a statement or expression that the language does not have", "see the language reference"),
    "C031": ("import", "the module API is already in scope, contracts import nothing"),
    "C032": ("class", "use record(...)"),
    "C033": ("async or await", "contracts run to the end without waiting"),
    "C034": ("yield", "build a list"),
    "C035": ("with", "there is nothing to open in a contract"),
    "C036": ("global or nonlocal", "use storage, parameters and return values"),
    "C037": (
        'raise of something else than Revert("CODE")',
        'write raise Revert("CODE"), and `except CODE:` to catch it',
    ),
    "C038": (
        "a handler that names no contract code",
        "write `except CODE:` with one code or a tuple: DivByZero (ZeroDivisionError), KeyMissing (KeyError),"
        " IndexRange (IndexError), BadValue (ValueError), TypeMismatch (TypeError), Overflow, Assertion, your own",
    ),
    "C039": ("del of something else than entries", "write `del container[key]` or `del items[a:b]`"),
    "C040": ("a decorator", "only @export, @view, @init and @migrate"),
    "C041": ("a parameter form", "use a, b=1, /, *rest and names behind *; there is no **"),
    "C042": ("a default value that is not a constant", "use None, a number, a text, or a constant declared above"),
    "C043": ("lambda outside key=, map and filter", "define a function"),
    "C044": (
        "a generator outside sum, any, all, min, max, sorted, list, tuple, set, dict, join, extend, update",
        "use a list comprehension",
    ),
    "C045": ("a comprehension with too many clauses, nested too deeply, or async", "use loops or functions"),
    "C046": ("true division", "use // or mul_div"),
    "C047": ("matrix multiplication", "multiply integers"),
    "C048": ("`is` with something else than None, True or False", "use =="),
    "C049": ("a constant that is no int, bool, str, bytes or None", "use integers"),
    "C050": ("an f-string form", "use {name}, {name!r}, {name:>8}, {name:08d}, {name:x}, {name:.3}, {name:>{width}}"),
    "C051": ("a match pattern", "use literals, | and _"),
    "C052": ("a name that begins with an underscore", "choose another name"),
    "C053": ("binding a name of the language", "choose another name"),
    "C054": (
        "an attribute",
        "attributes are record fields, ctx fields and method calls; a method as key= is written str.lower or name.get",
    ),
    "C055": ("a name that is not defined", "define it, or check the spelling"),
    "C056": ("a call of something that is no function", "call functions and methods by name"),
    "C057": ("a method that the language does not have", "see the method table"),
    "C058": ("a starred expression here", "use it in displays and calls"),
    "C059": (
        "an annotation",
        "use int, u64, u256, bool, str, bytes, Address, list, dict, tuple, set, None or a record",
    ),
    "C060": ("a module-level statement", "only constants, declarations and functions"),
    "C061": ("a comparison chain that is too long", "split it with and"),
    "C062": ("type parameters or type aliases", "remove them"),
    "C063": ("a nested function that escapes or shares a variable", "pass values as arguments"),
    "C064": ("print", "return the value; a contract on a chain may emit an event"),
    "C065": ("a finally block with loops, jumps or handlers", "keep it straight-line"),
    "C066": ("use of a function or declaration as a value", "call it, or use its methods"),
    "C067": ("iteration over a set", "iterate over sorted(s)"),
    "C068": ("a keyed sort of a set", "sort the set first, then by the key"),
    "C069": (
        "the builtin is not part of the language",
        'see the builtin table; f"{x:b}", f"{x:x}" and f"{x!r}" stand for bin, hex, format and repr',
    ),
    "C080": ("formatting with %", 'write an f-string: f"{name:>8}"'),
    # declarations
    "C070": ("a name declared twice", "rename one of them"),
    "C071": ("an entry point without annotations", "annotate every parameter and the result"),
    "C072": ("a view that writes", "make it an @export"),
    "C073": ("an entry point that does not exist or is of another kind", "check its name and decorator"),
    "C074": ("a record declaration or use", 'record("Name", field=type, ...)'),
    "C075": ("an event declaration or use", 'event("Name", indexed=(...), field=type, ...)'),
    "C076": (
        "a storage declaration or use",
        "name = Var(type, default=...), Map(key, type, default=...) or Index(map, by=(...))",
    ),
    "C077": ("a call with wrong arguments", "check number and names of the arguments"),
    "C078": ("a module constant that is no constant", "use literals, tuples and integer arithmetic"),
    "C079": ("a revert code", "a literal of 1 to 64 letters, digits and underscores that is no built-in code"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason for refusal: rule code, 1-based line, 0-based column, what it is and what to do."""

    code: str
    line: int
    column: int
    reason: str
    fix: str


class SourceRejected(GridchainError):
    """A contract source that is not admitted. `finding.code` is the rule (C001..)."""

    code = "SOURCE_REJECTED"

    def __init__(self, finding: Finding) -> None:
        super().__init__(
            f"line {finding.line}, column {finding.column}: {finding.reason}", code=finding.code, fix=finding.fix
        )
        self.finding = finding
        self.line = finding.line


def reject(code: str, line: int, column: int, detail: str = "") -> SourceRejected:
    """Make the refusal for rule `code`; `detail` says what was found."""
    reason, fix = RULES[code]
    return SourceRejected(Finding(code, line, column, f"{reason}: {detail}" if detail else reason, fix))
