"""An expression as statements that compute it in one array: `x = a - b; np.exp(x, out=x); x *= c`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codegen.targets.text import ADD, ATOM, MUL, NEG, Text
from derive.expr import Idx

UFUNCS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


@dataclass(frozen=True)
class Unfolding:
    """Writes an expression whose value has `axes` into a new array called `name`.

    One array is touched where an expression of several operations makes one for each of them; the operations and their order are the same,
    but that the smaller factors of a product meet before they meet the large one. `dying` is the source text of an array of the same shape
    that nothing reads afterwards, or "": its memory is taken over. Only arrays with all of the axes are computed in place; what is smaller,
    or stands beside them, is written as an expression. `memory` is the source text of an array, or None, that the first operation may write
    to, or "" where it makes a new one; where it is `spare`, the value need not lie there.
    """

    name: str
    axes: tuple[Idx, ...]
    dying: str
    module: str
    copy: str = "{0}.copy()"
    memory: str = ""
    spare: bool = False

    def statements(self, text: Text) -> list[str]:
        """The lines, the first of which makes the array."""
        if text.call and self._full(text.call[1]):
            function, argument = text.call
            if self._compound(argument):
                return [*self.statements(argument), f"{function.format(f'{self.name}, out={self.name}')}"]
            if argument.code == self.dying and self.dying:
                return [f"{self.name} = {function.format(f'{self.dying}, out={self.dying}')}"]
            if self.memory:
                return [f"{self.name} = {function.format(f'{argument.code}, out={self.memory}')}"]
        if len(text.steps) > 1:
            return self._chain(text.steps)
        if text.choice and self._full(text.choice[0]):
            return self._chosen(*text.choice, text.code)
        if text.out and self.memory:
            return [f"{self.name} = {(text.spare if self.spare and text.spare else text.out).format(self.memory)}"]
        return [f"{self.name} = {text.code}"]

    def _chosen(self, array: Text, fill: str, code: str) -> list[str]:
        """An array, some entries of which give way to a number."""
        if self._taken(array):
            return [f"{self.name} = {array.code}", fill.format(self.name)]
        if self._compound(array):
            return [*self.statements(array), fill.format(self.name)]
        if self.memory and self.module != "torch":
            return [f"{self.name} = {self.module}.positive({array.code}, out={self.memory})", fill.format(self.name)]
        return [f"{self.name} = {code}"]

    def _chain(self, steps: Sequence[tuple[str, Text]]) -> list[str]:
        hot = [step for step in steps if step[1].hot and step[1].axes == self.axes]
        if hot and len(hot) < len(steps) and steps[0][0] in "+-":
            return self._scattered([step for step in steps if step not in hot], hot)
        at = self._base(steps)
        if at is None:
            return self._plain(steps)
        sign, base = steps[at]
        rest = [step for n, step in enumerate(steps) if n != at]
        product = any(mark in "*/" for mark, _ in steps)
        folded = _products(rest, len(self.axes)) if product else _sums(rest)
        if sign == "-":
            # The negative term is the one in memory: the first positive one comes in front of it.
            front = next((n for n, (mark, _) in enumerate(folded) if mark == "+"), None)
            if front is None:
                return self._plain(steps)
            first = folded.pop(front)[1]
            if first.host and self.module == "torch":
                # torch subtracts from a tensor only.
                return self._plain(steps)
            if self._taken(base):
                lines = [f"{self.name} = {self.module}.subtract({first.code}, {base.code}, out={base.code})"]
            else:
                lines = self.statements(base)
                lines.append(f"{self.module}.subtract({first.code}, {self.name}, out={self.name})")
        elif self._taken(base):
            mark, other = folded.pop(0)
            lines = [f"{self.name} = {self.module}.{UFUNCS[mark]}({base.code}, {other.code}, out={base.code})"]
        else:
            lines = self.statements(base)
        return [*lines, *(f"{self.name} {mark}= {other.code}" for mark, other in folded)]

    def _scattered(self, rest: Sequence[tuple[str, Text]], hot: Sequence[tuple[str, Text]]) -> list[str]:
        """Rows with a single 1 are never made: it is added where it stands."""
        (sign, only), several = rest[0], len(rest) > 1
        if several and self._full_together(rest):
            lines = self._chain(rest)
        elif not several and sign == "+" and self._full(only):
            alone = self._compound(only) or self._taken(only)
            lines = self.statements(only) if alone else [f"{self.name} = {self.copy.format(only.at(ATOM))}"]
        else:
            return self._plain([*rest, *hot])
        return [*lines, *(f"_add_at({self.name}, {text.hot}, {mark.strip('+')}1)" for mark, text in hot)]

    def _plain(self, steps: Sequence[tuple[str, Text]]) -> list[str]:
        """No operand is an array of our own: the first operation that has every axis makes one."""
        product = any(mark in "*/" for mark, _ in steps)
        level = MUL if product else ADD
        whole = next((n for n, (mark, text) in enumerate(steps) if mark == "*" and self._full(text)), None)
        if whole is not None:
            (mark, other), *folded = _products([step for n, step in enumerate(steps) if n != whole], len(self.axes))
            code = f"{steps[whole][1].at(MUL)} {mark} {other.at(NEG)}"
            if self.memory:
                code = f"{self.module}.{UFUNCS[mark]}({steps[whole][1].code}, {other.code}, out={self.memory})"
            return [f"{self.name} = {code}", *(f"{self.name} {mark}= {text.code}" for mark, text in folded)]
        for count in range(2, len(steps) + 1):
            if self._full_together(steps[:count]):
                break
        first = steps[:count]
        code = ("-" if first[0][0] == "-" else "") + first[0][1].at(level if first[0][0] != "-" else MUL)
        code += "".join(f" {mark} {text.at(NEG if product else MUL)}" for mark, text in first[1:])
        if self.memory and count == 2 and first[0][0] in "+*" and not (first[0][1].host and self.module == "torch"):
            code = f"{self.module}.{UFUNCS[first[1][0]]}({first[0][1].code}, {first[1][1].code}, out={self.memory})"
        rest = _products(steps[count:], len(self.axes)) if product else _sums(steps[count:])
        return [f"{self.name} = {code}", *(f"{self.name} {mark}= {text.code}" for mark, text in rest)]

    def _base(self, steps: Sequence[tuple[str, Text]]) -> int | None:
        """The operand that is computed in place: the one whose memory may be taken, else the first that is an array of its own."""
        full = [n for n, (mark, text) in enumerate(steps) if mark != "/" and self._full(text)]
        for n in full:
            if self._reaches(steps[n][1]):
                return n
        return next((n for n in full if self._compound(steps[n][1])), None)

    def _reaches(self, text: Text) -> bool:
        """Whether computing `text` in place would start from the array whose memory may be taken."""
        if self._taken(text):
            return True
        if text.call:
            return self._full(text.call[1]) and self._reaches(text.call[1])
        return any(mark != "/" and self._full(operand) and self._reaches(operand) for mark, operand in text.steps)

    def _taken(self, text: Text) -> bool:
        return bool(self.dying) and text.code == self.dying

    def _compound(self, text: Text) -> bool:
        """Whether the value is an array that nobody else holds."""
        return text.fresh or bool(text.call) or len(text.steps) > 1

    def _full(self, text: Text) -> bool:
        return not text.host and text.axes == self.axes

    def _full_together(self, steps: Sequence[tuple[str, Text]]) -> bool:
        return {i for _, text in steps for i in text.axes} == set(self.axes)


def _products(steps: Sequence[tuple[str, Text]], rank: int) -> list[tuple[str, Text]]:
    """Factors gathered by their axes, so that the smaller arrays meet before they meet the large one.

    A plain number is never divided by another: the divisor may be the length of an empty axis.
    """
    numbers = [step for step in steps if step[1].host or not step[1].axes]
    groups: dict[tuple[Idx, ...], list[tuple[str, Text]]] = {}
    found: list[tuple[str, Text]] = []
    for step in steps:
        if step in numbers:
            continue
        if len(step[1].axes) == rank:
            found.append(step)
        else:
            groups.setdefault(step[1].axes, []).append(step)
    gathered = list(groups.values())
    if gathered:
        # Numbers go with the first of the smaller arrays.
        gathered[0] = [*gathered[0], *numbers]
    elif any(sign == "*" and not text.host for sign, text in numbers):
        gathered = [numbers]
    elif numbers:
        constant = [step for step in numbers if _constant(step[1])]
        if all(sign == "/" for sign, _ in constant):
            constant = []
        lengths = [step for step in numbers if step not in constant]
        gathered = [constant, *([step for step in lengths if step[0] == sign] for sign in "*/")]
    return [_joined(group) for group in gathered if group] + found


def _constant(text: Text) -> bool:
    """Whether a number is one whatever the shapes, so that it may be divided by."""
    return text.host and not re.search(r"[A-Za-z_]", re.sub(r"\bmath\.\w+|(?<=\d)e", "", text.code))


def _joined(group: Sequence[tuple[str, Text]]) -> tuple[str, Text]:
    """One factor, or one divisor where all of them divide."""
    above = [text for sign, text in group if sign == "*"]
    below = [text for sign, text in group if sign == "/"]
    if not above:
        return "/", _times(below)
    if not below:
        return "*", _times(above)
    arrays = sorted(above, key=lambda text: (not text.axes, text.host))
    code = _times(arrays).at(MUL) + "".join(f" / {text.at(NEG)}" for text in below)
    return "*", Text(code, MUL, arrays[0].axes)


def _times(texts: Sequence[Text]) -> Text:
    if len(texts) == 1:
        return texts[0]
    return Text(" * ".join([texts[0].at(MUL), *(text.at(NEG) for text in texts[1:])]), MUL, texts[0].axes)


def _sums(steps: Sequence[tuple[str, Text]]) -> list[tuple[str, Text]]:
    return list(steps)
