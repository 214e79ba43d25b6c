"""Second gate: a linear pre-scan of tokens, so that no limit of any CPython parser can be reached.

The scan knows enough of the lexical grammar: strings, comments, numbers, names, operators, brackets, logical lines.
It is a plain loop without recursion. What it lets through is parsed by `ast.parse`.
"""

from __future__ import annotations

import re

from contracts.limits import Limits
from contracts.rules import reject

_NUMBER = re.compile(r"[0-9](?:[0-9a-zA-Z_.]|(?<=[eE])[+-])*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGER = re.compile(r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*")
_STRING = re.compile(r"([A-Za-z]{0,2})('''|\"\"\"|'|\")")
_PREFIX_WORDS = frozenset(("not", "lambda", "await"))
_PREFIXES = ("r", "b", "f", "br", "rb", "fr", "rf", "")
_DIGITS = frozenset("0123456789")
_OPEN, _CLOSE = "([{", ")]}"
_PAIRS = {")": "(", "]": "[", "}": "{"}


class _Scan:
    """State of one scan: position, line, brackets, the current logical line."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.text = text
        self.limits = limits
        self.position = 0
        self.line = 1
        self.line_start = 0
        self.brackets: list[str] = []
        self.indents = [0]
        self.elifs = {0: 0}
        self.tokens = 0
        self.prefix_run = 0
        self.lambdas = 0
        self.operand_before = False

    def fail(self, code: str, detail: str = "") -> Exception:
        return reject(code, self.line, max(0, self.position - self.line_start), detail)

    def run(self) -> None:
        size = len(self.text)
        self.begin_line()
        while self.position < size:
            char = self.text[self.position]
            if char == "\n":
                self.newline()
            elif char == " ":
                self.position += 1
            elif char == "#":
                end = self.text.find("\n", self.position)
                self.position = size if end < 0 else end
            elif char == "\\":
                self.continuation()
            else:
                self.token(char)
        if self.brackets:
            raise self.fail("C018", "a bracket is never closed")

    def newline(self) -> None:
        self.position += 1
        self.line += 1
        self.line_start = self.position
        if not self.brackets:
            self.tokens = 0
            self.lambdas = 0
            self.prefix_run = 0
            self.operand_before = False
            self.begin_line()

    def continuation(self) -> None:
        if self.text[self.position + 1 : self.position + 2] != "\n":
            raise self.fail("C018", "a backslash")
        self.position += 2
        self.line += 1
        self.line_start = self.position

    def begin_line(self) -> None:
        """Measure the indentation of a logical line and count elif chains per indentation."""
        start = self.position
        while self.text.startswith(" ", start):
            start += 1
        following = self.text[start : start + 1]
        if following in ("", "\n", "#"):
            return
        indent = start - self.position
        while self.indents[-1] > indent:
            self.elifs.pop(self.indents.pop(), None)
        if indent > self.indents[-1]:
            self.indents.append(indent)
            self.elifs[indent] = 0
            if len(self.indents) - 1 > self.limits.indents:
                raise self.fail("C011", f"at most {self.limits.indents}")
        word = _NAME.match(self.text, start)
        if word is not None and word.group() == "elif":
            self.elifs[indent] += 1
            if self.elifs[indent] > self.limits.elif_chain:
                raise self.fail("C015", f"at most {self.limits.elif_chain}")
        elif word is None or word.group() != "else":
            self.elifs[indent] = 0

    def token(self, char: str) -> None:
        self.tokens += 1
        if self.tokens > self.limits.logical_line_tokens:
            raise self.fail("C013", f"at most {self.limits.logical_line_tokens}")
        string = _STRING.match(self.text, self.position)
        if string is not None:
            self.string(string.group(1), string.group(2), string.end())
        elif char in _DIGITS or (char == "." and self.text[self.position + 1 : self.position + 2] in _DIGITS):
            self.number()
        elif (name := _NAME.match(self.text, self.position)) is not None:
            self.name(name.group())
        elif char in _OPEN:
            self.open(char)
        elif char in _CLOSE:
            self.close(char)
        else:
            self.operator(char)

    def operand(self, end: int) -> None:
        self.position = end
        self.prefix_run = 0
        self.operand_before = True

    def number(self) -> None:
        if self.text[self.position] == ".":
            raise self.fail("C017")
        radix = self.text[self.position : self.position + 2] in ("0x", "0X")
        found = (_INTEGER if radix else _NUMBER).match(self.text, self.position)
        text = found.group() if found else self.text[self.position]
        if _INTEGER.fullmatch(text) is None:
            raise self.fail("C017", text[:40])
        if len(text.replace("_", "")) > self.limits.literal_digits:
            raise self.fail("C016", f"at most {self.limits.literal_digits}")
        self.operand(self.position + len(text))

    def name(self, word: str) -> None:
        if word == "lambda":
            self.lambdas += 1
            if self.lambdas > self.limits.prefix_run:
                raise self.fail("C014", f"at most {self.limits.prefix_run} lambdas in a logical line")
        if word in _PREFIX_WORDS:
            self.prefix(len(word))
        elif word in ("and", "or", "in", "is", "if", "else", "for", "return", "assert", "while", "elif"):
            self.position += len(word)
            self.prefix_run = 0
            self.operand_before = False
        else:
            self.operand(self.position + len(word))

    def prefix(self, size: int) -> None:
        self.prefix_run += 1
        if self.prefix_run > self.limits.prefix_run:
            raise self.fail("C014", f"at most {self.limits.prefix_run}")
        self.position += size
        self.operand_before = False

    def open(self, char: str) -> None:
        self.brackets.append(char)
        if len(self.brackets) > self.limits.brackets:
            raise self.fail("C010", f"at most {self.limits.brackets}")
        self.position += 1
        self.prefix_run = 0
        self.operand_before = False

    def close(self, char: str) -> None:
        if not self.brackets or self.brackets.pop() != _PAIRS[char]:
            raise self.fail("C018", f"an unmatched {char}")
        self.operand(self.position + 1)

    def operator(self, char: str) -> None:
        if not char.isascii():
            raise self.fail("C003", f"U+{ord(char):04X}")
        if char in "$?`!" and not self.text.startswith("!=", self.position):
            raise self.fail("C018", char)
        if char in "+-~" and not self.operand_before:
            self.prefix(1)
            return
        self.position += 1
        # only + - ~ and the words of _PREFIX_WORDS can be prefixes; a run of other operators is no expression
        self.operand_before = False
        self.prefix_run = 0

    def string(self, prefix: str, quote: str, start: int) -> None:
        """Skip a string literal. Replacement fields of f-strings are held to `fields`."""
        if prefix.lower() not in _PREFIXES:
            raise self.fail("C018", f"string prefix {prefix}")
        end = start
        triple = len(quote) == 3
        size = len(self.text)
        first_line = self.line
        while True:
            if end >= size:
                raise self.fail("C018", "a string is never closed")
            char = self.text[end]
            if char == "\\":
                if self.text[end + 1 : end + 2] == "N" and not set(prefix.lower()) & {"r", "b"}:
                    # which names there are is decided by the Unicode tables of a CPython release
                    raise self.fail("C018", "\\N{...}; write the character itself")
                if self.text[end + 1 : end + 2] == "\n":
                    self.line += 1
                    self.line_start = end + 2
                end += 2
            elif char == "\n":
                if not triple:
                    raise self.fail("C018", "a string is never closed")
                self.line += 1
                end += 1
                self.line_start = end
            elif self.text.startswith(quote, end):
                end += len(quote)
                break
            else:
                end += 1
        if "f" in prefix.lower():
            self.fields(self.text[start : end - len(quote)], first_line)
        if "b" in prefix.lower() and not self.text[start:end].isascii():
            raise self.fail("C003", "in a bytes literal")
        self.operand(end)

    def fields(self, body: str, line: int) -> None:
        """Hold replacement fields to a grammar that 3.11 and 3.12 read alike, and bound their brackets and prefixes."""
        position, size = 0, len(body)
        while position < size:
            char = body[position]
            if char in "{}" and body.startswith(char * 2, position):
                position += 2
            elif char == "{":
                position = self.one_field(body, position + 1, line)
            elif char == "}":
                raise reject("C050", line, 0, "an unmatched brace")
            else:
                position += 1

    def one_field(self, body: str, position: int, line: int, inner: bool = False) -> int:
        """Check one replacement field from behind its brace; return the position behind the closing brace. `inner`: it
        is in a format, and has none itself."""
        depth, run, start = 0, 0, position
        while position < len(body):
            char = body[position]
            if char == "}" and depth == 0:
                return position + 1
            if char == ":" and depth == 0 and not inner:
                return self.format(body, position + 1, line)
            if char in "\\#{}\n" or not char.isascii() or position - start > self.limits.line_chars:
                raise reject("C050", line, 0, f"{char!r} in a replacement field")
            if char in "'\"":
                end = body.find(char, position + 1)
                if end < 0 or any(bad in body[position:end] for bad in "{}\\\n"):
                    raise reject("C050", line, 0, "a text in a replacement field")
                position = end
            depth += (char in _OPEN) - (char in _CLOSE)
            run = run + 1 if char in "+-~" else run if char == " " else 0
            if depth > self.limits.prefix_run or depth < 0 or run > self.limits.prefix_run:
                raise reject("C050", line, 0, "nested too deeply")
            position += 1
        raise reject("C050", line, 0, "an unmatched brace")

    def format(self, body: str, position: int, line: int) -> int:
        """Check the format of a field, which may hold fields without formats."""
        while position < len(body) and body[position] != "}":
            char = body[position]
            if char in "'\"\\\n" or not char.isascii() or body.startswith("{{", position):
                raise reject("C050", line, 0, f"{char!r} in a format")
            position = self.one_field(body, position + 1, line, True) if char == "{" else position + 1
        if position >= len(body):
            raise reject("C050", line, 0, "an unmatched brace")
        return position + 1


def prescan(text: str, limits: Limits) -> None:
    """Check lexical limits of a source in one linear pass. Raise `SourceRejected`."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > limits.line_chars:
            raise reject("C012", number, limits.line_chars, f"at most {limits.line_chars} characters")
    _Scan(text, limits).run()
