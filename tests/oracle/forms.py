"""Parameter forms of random functions, and the calls that fit them: by place, by name, with stars."""

from __future__ import annotations

from oracle.phrases import Phrases

Forms = tuple[tuple[str, str], ...]
"""Name and form of each parameter: "" plain, "/" by place only, "k" by name only, "*" the rest."""


class Signatures(Phrases):
    """Writes parameter lists and argument lists. Functions that are not in `forms` have plain parameters."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.forms: dict[str, Forms] = {}

    def signed(self, function: str, names: list[str], given: list[str]) -> str:
        """The parameter list of a new function; `given`: its parameters with annotations. The last one may take all
        further integers."""
        roll = self.chance.random()
        by_place = self.chance.randint(0, len(names)) if roll < 0.2 else 0
        by_name = self.chance.randint(by_place, len(names)) if 0.1 < roll < 0.3 else len(names)
        rest = self.fresh("rest") if 0.3 < roll < 0.45 else ""
        text, forms = [], []
        for index, name in enumerate(names):
            if index == by_place > 0:
                text.append("/")
            if index == by_name:
                text.append("*")
            text.append(given[index])
            forms.append((name, "/" if index < by_place else "k" if index >= by_name else ""))
        if by_place == len(names) > 0:
            text.append("/")
        if rest:
            text.append(f"*{rest}{self.pick('', ': int')}")
            forms.append((rest, "*"))
        self.forms[function] = tuple(forms)
        return ", ".join(text)

    def rest_of(self, function: str) -> list[str]:
        """First lines of a body: the rest as a list."""
        for name, form in self.forms.get(function, ()):
            if form == "*":
                held = self.fresh("v")
                self.bring(held, "li")
                return [f"{held} = list({name})"]
        return []

    def call(self, kind: str, depth: int) -> str | None:
        fitting = [one for one in self.functions if one[2] == kind]
        if not fitting:
            return None
        name, kinds, _ = self.chance.choice(fitting)
        values = [self.of(one, depth - 1) for one in kinds]
        forms = self.forms.get(name, tuple((str(index), "/") for index in range(len(kinds))))
        placed: list[str] = []
        named: list[str] = []
        for (parameter, form), value in zip(forms, values, strict=False):
            # who is once named is followed by names only
            if form == "k" or (form == "" and (named or self.chance.random() < 0.2)):
                named.append(f"{parameter}={value}")
            else:
                placed.append(value)
        if forms and forms[-1][1] == "*" and not named:
            placed += [self.of("int", 0) for _ in range(self.chance.choice((0, 1, 2, 3)))]
            if self.chance.random() < 0.2:
                placed.append(f"*{self.of('li', 0)}")
        elif placed and self.chance.random() < 0.1:
            at = self.chance.randrange(len(placed))
            placed[at:] = [f"*[{', '.join(placed[at:])}]"]
        if self.chance.random() < 0.3:
            self.chance.shuffle(named)
        return f"{name}({', '.join(placed + named)})"
