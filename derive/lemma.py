"""One lemma: from the chain rule's first line to a closed form, by rules in a fixed order.

Differentiate until no derivative is left; multiply out; contract one delta after the other; fold known forward values; take
factors out of sums; use the facts; name the sums that are smaller than the result; collect. Nothing here knows a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive import rules
from derive.expr import Diff, Equation, Expr, Fact, Fn, Idx, MatrixFn, Max, Mul, Pow, Ref, Sum, add, children, rebuild, walk
from derive.indices import free_indices, tensors_in
from derive.normal import read_from_left
from derive.plain import show_index
from derive.proof import Proof
from derive.signs import Signs
from derive.terms import has_derivative, terms
from derive.workings import SUM_NAMES, Chain, Workings


class CannotDerive(Exception):
    """A form that no rule covers yet; the message says which."""


def prove(chain: Chain, workings: Workings, pool: tuple[str, ...] = SUM_NAMES) -> tuple[Proof, ...]:
    """Finish `chain` and return its proof, after the proofs of the sums it had to name."""
    differentiate(chain, workings)
    simplify(chain, workings)
    named = name_sums(chain, workings, pool)
    chain.record("cancel", rules.cancel(chain.current), detail="baby")
    chain.record("collect", rules.collect(chain.current), "the common factors are taken out", "full")
    chain.record("cancel", rules.cancel(chain.current), detail="baby")
    put_back(chain, workings)
    tidy(chain, workings)
    return (*named, chain.proof(workings))


# ---------------------------------------------------------------------------------------------------- differentiating


def first_line(workings: Workings, name: str, indices: tuple[Idx, ...]) -> Expr:
    """sum over T and o of dT[o] dT[o]/dA[a]: the chain rule over every equation T that mentions A."""
    entry = Ref(name, indices)
    found: list[Expr] = []
    if name in workings.layer.outputs:
        found.append(Ref(f"{workings.prefix}{name}", indices))
    for target in workings.consumers(name):
        if f"{workings.prefix}{target}" in workings.tensors or workings.adjoint(target) in workings.tensors:
            output = workings.definitions[target].target
            recurrence = workings.definitions[target] if workings.recurs(target) else None
            through = (*(() if recurrence else (target,)), *workings.inner_of(target))
            found.append(rules.chain_rule(workings.adjoint(target), output, entry, through, len(workings.layer.batch), recurrence))
    return add(*found)


def differentiate(chain: Chain, workings: Workings) -> None:
    """Apply the rules of differentiation until no derivative is left."""
    for node in walk(chain.current):
        if isinstance(node, Diff):
            chain.use(name for name in node.through)
    while has_derivative(chain.current):
        before = chain.current
        target = _defined(before)
        chain.record("definition", rules.definition(before, workings.definitions), f"what {target} is", "full")
        chain.record("linearity", rules.linearity(chain.current), "constants leave, sums and derivatives change places", "baby")
        chain.record("product_rule", rules.product_rule(chain.current), "", "full")
        chain.record(
            "power_rule",
            rules.power_rule(chain.current, workings.definitions),
            rules.length_note(chain.current, workings.definitions),
            "full",
        )
        chain.record("scalar_chain_rule", rules.scalar_chain_rule(chain.current), rules.subgradient_note(chain.current), "full")
        chain.record("max_rule", rules.max_rule(chain.current), "at the largest entry", "full")
        chain.record("inverse_rule", rules.inverse_rule(chain.current), "", "full")
        chain.record("determinant_rule", rules.determinant_rule(chain.current), "where the matrix is not singular", "full")
        chain.record("log_determinant_rule", rules.log_determinant_rule(chain.current), "", "full")
        chain.record("local_derivative", rules.local_derivative(chain.current), "an entry depends on itself alone", "full")
        chain.record("exclude", rules.exclude(chain.current), "both conditions never hold", "baby")
        if chain.current == before:
            stuck = next(node for node in walk(before) if isinstance(node, Diff))
            kind = type(stuck.body).__name__.lower()
            raise CannotDerive(f"no rule differentiates {kind} in {chain.name}")


def _defined(expr: Expr) -> str:
    found: dict[str, None] = {}
    for node in walk(expr):
        if isinstance(node, Diff) and isinstance(node.body, Ref) and node.body.tensor != node.wrt.tensor:
            found[node.body.tensor] = None
    return ", ".join(found)


# ---------------------------------------------------------------------------------------------------- simplifying


def simplify(chain: Chain, workings: Workings) -> None:
    """From deltas to a closed form without names."""
    chain.record("distribute", rules.distribute(chain.current), "every term gets its own sum", "baby")
    contract(chain)
    put_back(chain, workings)
    chain.record("pull_out", rules.pull_out(chain.current), "what a sum does not run over leaves it", "baby")
    use_facts(chain, workings)
    summed, used = rules.normalised_sum(chain.current, workings.definitions, workings.foldable)
    if used:
        chain.use(e.target.tensor for e in used)
        chain.record("normalised_sum", summed, f"{used[0].target.tensor} is divided by its own sum", "full")
    chain.record("count_ones", rules.count_ones(chain.current), "", "full")


def contract(chain: Chain) -> None:
    """Contract the deltas, one a line."""
    while True:
        parts = list(terms(chain.current))
        for n, part in enumerate(parts):
            found = rules.contract_delta(part)
            if found is not None:
                after, index, value = found
                note = f"the sum over {index.name} collapses: only {index.name} = {show_index(value)} survives"
                if len(parts) > 1:
                    note = f"term {n + 1}: {note}"
                last = not any(rules.contract_delta(p) for p in (*parts[:n], *terms(after), *parts[n + 1 :]))
                chain.record("contract_delta", add(*parts[:n], after, *parts[n + 1 :]), note, "full" if last else "baby")
                break
        else:
            return


def tidy(chain: Chain, workings: Workings) -> None:
    """Plain names for summed indices, gradients in front: what a person would write."""
    chain.record("rename_bound", rules.rename_bound(chain.current, chain.goal.target), "summed indices get their plain names back", "baby")
    known = (name for name in tensors_in(chain.current) if name not in workings.meanings)
    gradients = [name for name in known if name in workings.results or name in workings.upstream]
    chain.rewrite_last(rules.order_factors(chain.current, gradients))


def put_back(chain: Chain, workings: Workings) -> None:
    folded, used = rules.fold(chain.current, workings.foldable(chain.current))
    if used:
        chain.use(e.target.tensor for e in used)
        note = ", ".join(f"{e.target.tensor} is known" for e in used)
        chain.record("fold", folded, note, "full")


def use_facts(chain: Chain, workings: Workings) -> None:
    """Read the declared facts from left to right, signs and symmetries included."""
    facts = workings.layer.facts
    if not facts:
        return
    signs = Signs(facts)
    after = rules.known_sign(chain.current, signs) if signs.facts else chain.current
    if after != chain.current:
        _note_facts(chain, workings, signs.facts)
        chain.record("known_sign", after, "by the declared sign", "full")
    after, used = rules.fact(chain.current, read_from_left(facts))
    if used:
        chain.facts.update(dict.fromkeys(used))
        workings.facts.update(dict.fromkeys(used))
        chain.record("fact", after, "by the declared hypothesis", "full")
        values = {t.name: t.values for t in workings.layer.tensors if t.values is not None}
        chain.record("bracket_delta", rules.bracket_delta(chain.current, values), detail="baby")
        if chain.record("contract_delta", rules.contract(chain.current), "only equal indices survive", "full"):
            chain.record("pull_out", rules.pull_out(chain.current), detail="baby")
    use_symmetry(chain, workings)


def use_symmetry(chain: Chain, workings: Workings) -> None:
    """Entries of symmetric matrices, and of their inverses, written the way round that lets equal terms meet."""
    reasons = {name: item for item in workings.layer.facts if (name := rules.symmetric(item)) is not None}
    if not reasons:
        return
    for name, equation in workings.definitions.items():
        value = equation.value
        if isinstance(value, MatrixFn) and value.name == "inv" and value.at == equation.target.indices[-2:]:
            source = value.body.tensor if isinstance(value.body, Ref) else ""
            if source in reasons:
                reasons[name] = reasons[source]
    after = rules.symmetry(chain.current, chain.goal.target, reasons)
    if after != chain.current:
        found = [name for name in tensors_in(chain.current) if name in reasons]
        chain.use(name for name in found if name in workings.definitions)
        used = dict.fromkeys(reasons[name] for name in found)
        chain.facts.update(used)
        workings.facts.update(used)
        why = [f"{name} inverts a symmetric matrix" if name in workings.definitions else f"{name} is symmetric" for name in found]
        chain.record("symmetry", after, ", ".join(why), "full")


def _note_facts(chain: Chain, workings: Workings, facts: Iterable[Fact]) -> None:
    """The facts about what the current line mentions are those that it rests on."""
    present = set(tensors_in(chain.current))
    used = [fact for fact in facts if present & {*tensors_in(fact.left), *tensors_in(fact.right)}]
    chain.facts.update(dict.fromkeys(used))
    workings.facts.update(dict.fromkeys(used))


# ---------------------------------------------------------------------------------------------------- naming


def name_sums(chain: Chain, workings: Workings, pool: tuple[str, ...]) -> tuple[Proof, ...]:
    """Give a name to each sum with fewer indices than where it stands: computed once, not once an entry."""
    new: list[Equation] = []
    scope = frozenset(i for i in chain.goal.target.indices if isinstance(i, Idx))

    def visit(node: Expr, around: frozenset[Idx]) -> Expr:
        if isinstance(node, Sum):
            free = free_indices(node)
            if set(free) < around:
                known, used = rules.fold(node, (*workings.meanings_among(node), *new))
                if isinstance(known, Ref):
                    chain.use(e.target.tensor for e in used)
                    return known
                ordered = tuple(i for i in workings.layer.batch if i in free) + tuple(i for i in free if i not in workings.layer.batch)
                name = workings.new_name(pool)
                workings.declare(name, ordered)
                target, meaning = rules.name_sum(node, name, ordered)
                new.append(meaning)
                return target
            around = around | set(node.indices)
        if isinstance(node, Max):
            return node
        parts = children(node)
        fresh_parts = tuple(visit(part, around) for part in parts)
        return rebuild(node, fresh_parts) if any(a is not b for a, b in zip(fresh_parts, parts)) else node

    after = visit(chain.current, scope)
    proofs = []
    for equation in new:
        workings.meanings[equation.target.tensor] = equation
        proofs.append(prove_name(equation, workings))
        workings.results[equation.target.tensor] = proofs[-1].result
    chain.use(e.target.tensor for e in new)
    listed = ", ".join(e.target.tensor for e in new)
    chain.record("name_sum", after, f"{listed} is computed once" if new else "", "full")
    return tuple(proofs)


def prove_name(meaning: Equation, workings: Workings) -> Proof:
    """A named sum, and, where it can be had more cheaply from tensors already in hand, the proof of that."""
    best = Chain(meaning.target.tensor, "name", meaning.target, meaning.value)
    best_cost = cost(meaning.value, workings)
    for source in dict.fromkeys(tensors_in(meaning.value)):
        if source not in workings.results:
            continue
        chain = Chain(meaning.target.tensor, "name", meaning.target, meaning.value)
        chain.use([source])
        chain.record("lemma", rules.lemma(chain.current, workings.results[source]), f"what {source} is", "full")
        chain.record("exchange", rules.exchange(chain.current), "finite sums change places", "full")
        put_back(chain, workings)
        chain.record("pull_out", rules.pull_out(chain.current), "", "baby")
        use_facts(chain, workings)
        tidy(chain, workings)
        found = cost(chain.current, workings)
        if found < best_cost:
            best, best_cost = chain, found
    return best.proof(workings)


def cost(expr: Expr, workings: Workings) -> tuple[int, int, int]:
    """What a sum costs: reads of tensors not in hand first, then the indices it runs over, then its factors.

    Arguments, results and upstream gradients are in hand, whole, before the backward pass starts; an intermediate has to be
    finished or kept first, which also forbids computing it block by block. So a read of one weighs more than any arithmetic.
    """
    reads = [node for node in walk(expr) if isinstance(node, Ref)]
    bound = sum(len(node.indices) for node in walk(expr) if isinstance(node, (Sum, Max)))
    return (
        sum(1 for ref in reads if ref.tensor not in workings.in_hand),
        bound,
        len(reads) + sum(isinstance(n, (Fn, Pow, Mul)) for n in walk(expr)),
    )
