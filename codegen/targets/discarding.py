"""Which values may be infinite or nan in entries that a mask then drops: a target need not warn of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from codegen.program import Op, host_values, is_temporary, makers

LARGEST_HALF = 65504
"""Any number beyond this is infinite in the shortest floating-point type."""


def discarding(ops: Iterable[Op], inlined: Callable[[str], bool]) -> set[str]:
    """The values, of those with a statement of their own, in whose statement an exponential, a logarithm or a quotient stands only
    for a mask to select from. A value with a name in the proof is there for its own sake."""
    listed = tuple(ops)
    made = makers(listed)
    host = host_values(listed)
    reader = {arg.value: op.out for op in listed for arg in op.args}
    found: set[str] = set()
    seen: dict[tuple[str, str], bool] = {}

    def visit(value: str, statement: str) -> bool:
        """Whether a quotient, a root or a logarithm comes in, so that arithmetic with it may warn as well."""
        op = made.get(value)
        if _is_beyond(op):
            found.add(statement)
        if op is None or not is_temporary(value) or value in host or op.fn == "where":
            return False
        statement = statement if inlined(value) else value
        if (value, statement) not in seen:
            power = op.number if op.fn == "power" and op.number is not None else 1
            loose = op.fn in ("log", "pow", "xlogy") or power < 0 or power.denominator != 1
            seen[value, statement] = any([loose, *(visit(arg.value, statement) for arg in op.args)])
            if seen[value, statement] or op.fn in ("exp", "exp2"):
                found.add(statement)
        return seen[value, statement]

    for op in listed:
        if op.fn == "where":
            statement = op.out
            while inlined(statement):
                statement = reader[statement]
            for arg in op.args[1:]:
                visit(arg.value, statement)
            condition = made.get(op.args[0].value)
            if condition is not None and inlined(condition.out) and any(_is_beyond(made.get(arg.value)) for arg in condition.args):
                found.add(statement)
    return found


def _is_beyond(op: Op | None) -> bool:
    """Whether a value is a number that is infinite in half precision."""
    return op is not None and op.kind == "number" and op.number is not None and abs(op.number) > LARGEST_HALF
