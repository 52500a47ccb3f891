"""Exponentials to the base 2, where the change of base costs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.passes.admitting import subtracted
from codegen.passes.assembling import is_matrices
from codegen.passes.reuse import marked
from codegen.passes.scaling import rows_of
from codegen.program import Loop, Op, Program, Read, is_temporary, makers, needed, read_op
from derive.exponentials import LOWEST
from derive.expr import Equation, Fn, mul, num, power


def exponentials_of_two(program: Program) -> Program:
    """Inside a loop, where nothing but exponentials `exp(S - m)` and row maxima read a product of matrices, both are taken in bits.

    `exp(x)` is `exp2(x / log 2)`, and a library computes exp2 in half the steps of exp, or fewer. The division is one of the rows of
    an operand of the product, and of the row `m`; it is not worth a pass over the large array itself, so that other exponentials
    stay as they are.
    """
    if "bits" in program.without:
        return program
    return replace(program, loops=tuple((name, _in_bits(loop)) for name, loop in program.loops))


def _in_bits(loop: Loop) -> Loop:
    body = loop.body
    for op in body.ops:
        readers = _readers(loop, op)
        if readers is not None:
            return replace(loop, body=marked(replace(body, ops=tuple(_rewritten(loop, op, readers))), apart=True))
    return loop


@dataclass(frozen=True)
class _Readers:
    """What reads a product, or the product where a condition admits it: differences that exponentials read, row maxima."""

    differences: dict[str, str]
    maxima: dict[str, str]
    masked: set[str]


def _readers(loop: Loop, product: Op) -> _Readers | None:
    """The readers of a product; None where there are others, or no exponential."""
    made = makers(loop.body.ops)
    if not loop.large or not is_matrices(product) or product.out in loop.body.outputs or not rows_of(product):
        return None
    readers = [(product.out, reader) for reader in _users(loop, product.out)]
    differences: dict[str, str] = {}
    maxima: dict[str, str] = {}
    masked: set[str] = set()
    while readers:
        value, reader = readers.pop()
        if reader.fn == "add" and all(user.fn == "exp" for user in _users(loop, reader.out)):
            shifted = subtracted(reader, made)
            if shifted is None or shifted[0].value != value or len(shifted[1].axes) >= len(product.axes):
                return None
            differences[reader.out] = value
        elif (reader.kind, reader.fn) == ("reduce", "max"):
            maxima[reader.out] = value
        elif reader.fn == "where" and len(reader.args) == 3 and reader.args[1].value == value and reader.out not in loop.body.outputs:
            lowest = made.get(reader.args[2].value)
            if lowest is None or lowest.number is None or lowest.number > LOWEST.value:
                return None
            masked.add(reader.out)
            readers += [(reader.out, user) for user in _users(loop, reader.out)]
        else:
            return None
    return _Readers(differences, maxima, masked) if differences else None


def _users(loop: Loop, value: str) -> list[Op]:
    return [op for op in loop.body.ops if any(arg.value == value for arg in op.args)]


def _rewritten(loop: Loop, product: Op, readers: _Readers) -> list[Op]:
    """The ops with the product, its maxima and what is subtracted of it in bits."""
    made = makers(loop.body.ops)
    name = f"{product.out}.bits" if is_temporary(product.out) else f"{product.out}_bits"
    log, inverse = Read("%bits.log"), Read("%bits.inverse")
    ops = [
        Op("%bits.two", "number", number=Fraction(2)),
        Op(log.value, "map", (), (Read("%bits.two"),), fn="log"),
        Op(inverse.value, "map", (), (log,), fn="power", number=Fraction(-1)),
    ]
    in_bits = {product.out: name}
    lowest = {op.out for op in loop.body.ops if op.number == LOWEST.value}

    def renamed(args: Iterable[Read]) -> tuple[Read, ...]:
        return tuple(replace(arg, value=in_bits.get(arg.value, arg.value)) for arg in args)

    for op in loop.body.ops:
        op = replace(op, into="")
        if op.out == product.out:
            at = rows_of(product)[0]
            scaled = read_op(product.args[at], made)
            plain = scaled is None or not is_temporary(scaled.out) or scaled.fn != "mul" or len(_users(loop, scaled.out)) > 1
            factors = (product.args[at],) if scaled is None or plain else scaled.args
            rows = Op("%bits.rows", "map", product.args[at].axes, (*factors, inverse), fn="mul")
            args = tuple(Read(rows.out, arg.axes) if n == at else arg for n, arg in enumerate(product.args))
            ops += [rows, replace(op, out=name, args=args, source=_equation(name, op))]
        elif op.out in readers.maxima:
            in_bits[op.out] = f"%{op.out}.bits"
            ops.append(replace(op, out=in_bits[op.out], args=renamed(op.args), source=None))
            ops.append(Op(op.out, "map", op.axes, (Read(in_bits[op.out], op.axes), log), fn="mul", source=op.source))
        elif op.out in readers.differences:
            (x,) = (arg for arg in op.args if arg.value == readers.differences[op.out])
            (other,) = (arg for arg in op.args if arg.value != readers.differences[op.out])
            negative = made[other.value]
            sign, row = negative.args
            if row.value in in_bits:
                row = replace(row, value=in_bits[row.value])
            else:
                ops.append(Op(f"%{op.out}.row", "map", row.axes, (row, inverse), fn="mul"))
                row = Read(ops[-1].out, row.axes)
            ops.append(replace(negative, out=f"%{op.out}.minus", args=(sign, row)))
            ops.append(replace(op, args=(*renamed([x]), replace(other, value=ops[-1].out))))
        elif op.fn == "exp" and op.args[0].value in readers.differences:
            ops.append(replace(op, fn="exp2"))
        elif op.out in readers.masked or (op.fn == "less" and op.args[0].value in lowest):
            # What stands for minus infinity does so in bits.
            ops.append(replace(op, args=renamed(op.args)))
        else:
            ops.append(op)
    live = needed(ops, loop.body.outputs)
    return [op for op in ops if op.out in live]


def _equation(name: str, product: Op) -> Equation | None:
    """What the product in bits is of the product."""
    if product.source is None:
        return None
    target = product.source.target
    return Equation(replace(target, tensor=name), mul(target, power(Fn("log", (num(2),)), -1)))
