"""How things are named on paper: tensors, gradients, indices and axes, and the rules in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from derive.expr import Diff, Idx, Ref

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "eps": "ε",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "lam": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Xi": "Ξ",
    "Pi": "Π",
    "Sigma": "Σ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}

# Where a name differs from the name of its LaTeX command.
GREEK_COMMAND = {"eps": "varepsilon", "epsilon": "varepsilon", "lam": "lambda", "phi": "varphi"}

DOT = "\u0307"
"""Over the letter before it: the differential of a tensor. Where a letter with the dot has a character of its own, that is taken."""

PRIMES = ("", "′", "″", "‴", "⁗")


@dataclass(frozen=True)
class Context:
    """What a name is read against.

    The tensors there are (so that `dY` is the gradient of `Y`), the batch axes left out, and the named inner sums, which count
    as part of the equation that mentions them. Some tensors are `called` otherwise on paper; with `ranges` every sum says where its
    index begins, at 0 or at 1, and where it ends. In `marked` LaTeX every index says its name, for a page that lights it up; `language`
    is that of the sentences around the formulas.
    """

    tensors: frozenset[str] = frozenset()
    batch: tuple[Idx, ...] = ()
    ascii: bool = False
    inner: frozenset[str] = frozenset()
    marked: bool = False
    language: str = "en"
    called: tuple[tuple[str, str], ...] = ()
    ranges: int | None = None

    @property
    def delta_is_a_tensor(self) -> bool:
        """Whether the letter of the Kronecker delta is taken."""
        return any(name.partition("_")[0] == "delta" for _, name in self.called)

    def through_everything(self, diff: Diff) -> bool:
        """Whether a derivative goes through more than one of the layer's equations, inner sums aside."""
        return len(set(diff.through) - self.inner) > 1

    def shown(self, ref: Ref) -> Ref:
        """The entry without its leading batch indices."""
        count = len(self.batch)
        if count and ref.indices[:count] == self.batch:
            return Ref(ref.tensor, ref.indices[count:])
        return ref

    def split(self, name: str) -> tuple[str, str]:
        """A tensor's name as (prefix, name): `dY` is ("d", "Y") where `Y` is a tensor; `d2Y` a second gradient, `tY` a tangent."""
        for prefix in ("d2", "d", "t"):
            rest = name[len(prefix) :]
            if name.startswith(prefix) and (rest in self.tensors or (rest and rest.partition("_")[0] in self.tensors)):
                return prefix, rest
        return "", name

    def depth(self, name: str) -> tuple[tuple[str, ...], str]:
        """All prefixes of a tensor's name, outermost first, and the name under them."""
        prefixes: list[str] = []
        called = dict(self.called)
        while True:
            if name in called:
                return tuple(prefixes), called[name]
            prefix, rest = self.split(name)
            if not prefix:
                return tuple(prefixes), name
            prefixes.append(prefix)
            name = rest


def context(tensors: Iterable[str], batch: tuple[Idx, ...] = (), ascii: bool = False, inner: Iterable[str] = ()) -> Context:
    return Context(frozenset(tensors), batch, ascii, frozenset(inner))


def base_and_subscript(name: str) -> tuple[str, str]:
    """`d_k` is d with subscript k, `x1` is x with subscript 1, `W_q` is W with subscript q; anything else has none."""
    match = re.fullmatch(r"([A-Za-z]+?)(?:_([A-Za-z0-9_]+)|(\d+))", name)
    if match is None:
        return name, ""
    return match.group(1), match.group(2) or match.group(3)


# ---------------------------------------------------------------------------------------------------- plain names


def text_word(name: str, ascii: bool) -> str:
    """A name in the terminal: Greek where the name is a Greek letter's, primes as primes."""
    stem = name.rstrip("'")
    primes = len(name) - len(stem)
    if ascii:
        return name
    base, subscript = base_and_subscript(stem)
    if base in GREEK:
        stem = GREEK[base] + (stem[len(base) :] if subscript else "")
    return stem + (PRIMES[primes] if primes < len(PRIMES) else "′" * primes)


def text_tensor(name: str, where: Context) -> str:
    prefixes, rest = where.depth(name)
    shown = {"d2": "d2" if where.ascii else "d²"}
    word = text_word(rest, where.ascii)
    if prefixes == ("t",) and not where.ascii:
        return unicodedata.normalize("NFC", word[0] + DOT) + word[1:]
    return "".join(shown.get(p, p) for p in prefixes) + word


# ---------------------------------------------------------------------------------------------------- LaTeX names


def latex_word(name: str) -> str:
    """A name in LaTeX: one letter in italics, Greek as Greek, longer names upright, subscripts and primes in place."""
    stem = name.rstrip("'")
    primes = "'" * (len(name) - len(stem))
    base, subscript = base_and_subscript(stem)
    out = _latex_stem(base)
    if subscript:
        parts = [_latex_stem(part) for part in subscript.split("_")]
        out += "_{" + ",".join(parts) + "}"
    return out + primes


def _latex_stem(stem: str) -> str:
    if stem in GREEK:
        command = GREEK_COMMAND.get(stem, stem)
        return "\\" + command
    if len(stem) == 1 or stem.isdigit():
        return stem
    return "\\mathrm{" + stem.replace("_", "\\_") + "}"


def latex_tensor(name: str, where: Context) -> str:
    prefixes, rest = where.depth(name)
    shown = {"d": "\\mathrm{d}", "d2": "\\mathrm{d}^{2}", "t": "\\dot{"}
    out = latex_word(rest)
    for prefix in reversed(prefixes):
        letter, under, rest = out.partition("_")
        out = "\\dot{" + letter + "}" + under + rest if prefix == "t" else shown[prefix] + out
    return out


# ---------------------------------------------------------------------------------------------------- words


def words(rule: str) -> str:
    """A rule's name, a noun phrase in snake case, in words."""
    return rule.replace("_", " ").strip()


def reason(rule: str, note: str) -> str:
    """The whole reason of a line: the rule in words, then what it did here."""
    name = words(rule)
    return f"{name}: {note}" if name and note else name or note


def listing(items: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    found = list(items)
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {last} {found[-1]}"
