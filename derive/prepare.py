"""Entry: the author's equations brought into the form the engine works on, each change a proof.

Afterwards every right-hand side is a sum of products of scalar functions of entries: the logarithm of a known quotient is
written out, and a sum that stands inside a function or a quotient has a name.
"""

from __future__ import annotations

from derive import rules
from derive.exponentials import exponents
from derive.expr import Add, Equation, Expr, Fn, Idx, MatrixFn, Max, Mul, Pow, Ref, Sum, children, neg, rebuild, walk
from derive.indices import free_indices, fresh, substitute
from derive.matching import replace_product, same_value
from derive.proof import Proof
from derive.workings import HELPER_NAMES, Chain, Workings


def prepare(workings: Workings) -> tuple[Proof, ...]:
    """Fill `workings.definitions` from the layer's equations; the proofs say what changed and which sums were named."""
    proofs: list[Proof] = []
    for equation in workings.layer.equations:
        proofs.extend(_prepare(equation, workings))
    return tuple(proofs)


def _prepare(equation: Equation, workings: Workings) -> list[Proof]:
    target = equation.target.tensor
    chain = Chain(target, "prepare", equation.target, equation.value)
    opened, used = rules.log_of_product(chain.current, workings.definitions, [i.name for i in free_indices(equation.target)])
    chain.use(e.target.tensor for e in used)
    for e in used:
        chain.use(workings.inner_of(e.target.tensor))
    chain.record("log_of_product", opened, "a logarithm turns the quotient into a difference", "full")
    named: list[Proof] = []
    scope = frozenset(i for i in equation.target.indices if isinstance(i, Idx))
    after = _name_inner(chain.current, False, scope, workings, chain, named)
    if named and all(isinstance(proof.goal.value, MatrixFn) for proof in named):
        chain.record("name_matrix", after, "what is asked for again gets a name", "full")
    chain.record("name_sum", after, "an inner sum gets a name", "full")
    workings.definitions[target] = Equation(equation.target, chain.current)
    if chain.steps:
        named.append(chain.proof(workings))
    return named


def _name_inner(expr: Expr, nonlinear: bool, scope: frozenset[Idx], workings: Workings, chain: Chain, named: list[Proof]) -> Expr:
    if isinstance(expr, (Sum, Max)):
        inside = _name_inner(expr.body, isinstance(expr, Max), scope | set(expr.indices), workings, chain, named)
        if isinstance(expr, Max) and not _is_entry(inside):
            # The derivative asks which entry is the largest: the same numbers have to be compared as were maximised.
            inside = _name(inside, scope, workings, chain, named, stage=True)
        node = rebuild(expr, (inside,))
        return _name(node, scope, workings, chain, named) if nonlinear else node
    if isinstance(expr, MatrixFn):
        return _name_matrix(expr, scope, workings, chain, named)
    parts = children(expr)
    if not parts:
        return expr
    hard = nonlinear or isinstance(expr, (Fn, Pow))
    if _divides_or_log(expr) and isinstance(parts[0], Add) and exponents(parts[0]) is not None:
        # exp(s) + sum(k, exp(u)) gets one name: what keeps it finite is one shift for all of its exponentials.
        terms = (_name_inner(term, False, scope, workings, chain, named) for term in parts[0].terms)
        return rebuild(expr, (_name(rebuild(parts[0], tuple(terms)), scope, workings, chain, named),))
    return rebuild(expr, tuple(_name_inner(part, hard, scope, workings, chain, named) for part in parts))


def _divides_or_log(expr: Expr) -> bool:
    if isinstance(expr, Pow):
        return expr.exponent < 0 and expr.exponent.denominator == 1
    return isinstance(expr, Fn) and expr.name == "log"


def _is_entry(expr: Expr) -> bool:
    return isinstance(expr, Ref) or (isinstance(expr, Mul) and len(expr.factors) == 2 and expr == neg(expr.factors[1]))


def _name(
    node: Expr, scope: frozenset[Idx], workings: Workings, chain: Chain, named: list[Proof], stage: bool = False, call: str = ""
) -> Expr:
    for equation in workings.definitions_among(node):
        known = same_value(equation, node) if isinstance(node, Add) else replace_product(equation, node)
        if isinstance(known, Ref):
            chain.use([equation.target.tensor])
            return known
    free = free_indices(node)
    batch = workings.layer.batch
    ordered = tuple(i for i in batch if i in free) + tuple(i for i in free if i not in batch)
    name = workings.new_name((call, *HELPER_NAMES) if call else HELPER_NAMES)
    workings.declare(name, ordered)
    definition = rules.name_matrix(node, name, ordered)[1] if isinstance(node, MatrixFn) else Equation(Ref(name, ordered), node)
    workings.definitions[name] = definition
    if not stage and (exponents(node) is not None or not _is_contraction(node)):
        workings.inner[name] = None
    chain.use([name])
    named.append(Chain(name, "name", definition.target, definition.value).proof(workings, given=()))
    return definition.target


def _name_matrix(node: MatrixFn, scope: frozenset[Idx], workings: Workings, chain: Chain, named: list[Proof]) -> Expr:
    """A matrix that is an expression gets a name; so does an inverse or a determinant, which gradients ask for again."""
    body = _name_inner(node.body, True, scope | set(node.indices), workings, chain, named)
    if not isinstance(body, Ref):
        body = _name(body, scope, workings, chain, named, stage=True)
    assert isinstance(body, Ref)
    node = MatrixFn(node.name, node.indices, body, node.at)
    alone = node.name == "det" or node.at == chain.goal.target.indices[-2:]
    if node.name == "logdet" or (chain.current == node and alone):
        return node
    at = tuple(i for i in dict.fromkeys(node.at) if isinstance(i, Idx) and i not in free_indices(body))
    if node.at and len(at) < 2:
        taken = {i.name for i in (*node.indices, *free_indices(body))}
        at = tuple(fresh(i, taken) for i in node.indices)
    general = MatrixFn(node.name, node.indices, body, at)
    entry = _name(general, scope, workings, chain, named, stage=True, call=f"{body.tensor}_{node.name}")
    return substitute(entry, dict(zip(at, node.at)))


def _is_contraction(node: Expr) -> bool:
    """Whether a sum mixes tensors with different indices: a matrix product, which is a stage of its own with a gradient of
    its own, while a plain reduction is differentiated inside the equation that uses it."""
    patterns = {frozenset(free_indices(ref)) for ref in walk(node) if isinstance(ref, Ref) and ref.indices}
    return len(patterns) > 1
