"""Every rewriting rule, one function each: its docstring is the identity, and the proof's reason.

A rule takes an expression and returns an equal one, or the expression itself where it does not apply. Rules know nothing of
layers; the engine decides their order. A step of a proof is named after the function that made it.
"""

from __future__ import annotations

from derive.rules.collecting import cancel, collect, exclude, order_factors, split_terms
from derive.rules.derivatives import (
    chain_rule,
    definition,
    length_note,
    linearity,
    local_derivative,
    max_rule,
    power_rule,
    product_rule,
    scalar_chain_rule,
    subgradient_note,
)
from derive.rules.expanding import (
    bracket_delta,
    common_denominator,
    contract,
    divide_out,
    elementary,
    exp_of_sum,
    expand,
    halve,
    log_of_factors,
    power_of_product,
    quotient,
    symmetric_order,
)
from derive.rules.known import fact, fold, lemma, name_sum, normalised_sum, unfold
from derive.rules.matrices import determinant_rule, exchanged, inverse_rule, log_determinant_rule, name_matrix, symmetric, symmetry
from derive.rules.shifts import log_of_product, shift_exponent
from derive.rules.signs import known_sign
from derive.rules.sums import contract_delta, count_ones, distribute, exchange, pull_out, rename_bound

RULES = (
    chain_rule,
    definition,
    linearity,
    product_rule,
    power_rule,
    scalar_chain_rule,
    max_rule,
    inverse_rule,
    determinant_rule,
    log_determinant_rule,
    local_derivative,
    distribute,
    contract_delta,
    pull_out,
    count_ones,
    exchange,
    rename_bound,
    fold,
    fact,
    symmetry,
    normalised_sum,
    unfold,
    lemma,
    name_sum,
    name_matrix,
    cancel,
    exclude,
    collect,
    order_factors,
    split_terms,
    log_of_product,
    shift_exponent,
    bracket_delta,
    elementary,
    exp_of_sum,
    expand,
    power_of_product,
    log_of_factors,
    common_denominator,
    symmetric_order,
    known_sign,
    quotient,
    halve,
    divide_out,
)


def identity(rule: str) -> str:
    """The identity a rule applies: the first line of its docstring. Raises KeyError for a rule that does not exist."""
    for function in RULES:
        if function.__name__ == rule:
            return (function.__doc__ or "").strip().splitlines()[0]
    raise KeyError(rule)


__all__ = [  # noqa: RUF022 - in the order in which a proof meets them
    "RULES",
    "identity",
    "chain_rule",
    "definition",
    "linearity",
    "product_rule",
    "power_rule",
    "length_note",
    "scalar_chain_rule",
    "subgradient_note",
    "max_rule",
    "inverse_rule",
    "determinant_rule",
    "log_determinant_rule",
    "local_derivative",
    "distribute",
    "contract_delta",
    "pull_out",
    "count_ones",
    "exchange",
    "rename_bound",
    "fold",
    "fact",
    "symmetric",
    "symmetry",
    "normalised_sum",
    "unfold",
    "lemma",
    "name_sum",
    "name_matrix",
    "cancel",
    "exchanged",
    "exclude",
    "collect",
    "order_factors",
    "split_terms",
    "log_of_product",
    "shift_exponent",
    "bracket_delta",
    "elementary",
    "exp_of_sum",
    "expand",
    "power_of_product",
    "log_of_factors",
    "common_denominator",
    "symmetric_order",
    "known_sign",
    "quotient",
    "halve",
    "divide_out",
    "contract",
]
