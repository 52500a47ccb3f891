"""The Matrix Cookbook's derivatives in SymPy's own tests: each derived, every line checked, its values those of the book."""

from __future__ import annotations

import inspect
import re

import pytest
from sympy.matrices.expressions.tests import test_derivatives

from benchmarks.cookbook import RULES, Rule, evaluate


def test_every_equation_that_sympys_tests_number_is_there() -> None:
    numbered = {int(number) for number in re.findall(r"Cookbook example (\d+)", inspect.getsource(test_derivatives))}
    assert len(numbered) == 43
    assert {rule.number for rule in RULES} == numbered
    assert len(RULES) == len(numbered)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.number))
def test_a_rule_is_derived_and_every_line_holds_and_its_values_are_those_of_the_book(rule: Rule) -> None:
    result = evaluate(rule)
    assert result.holds
    assert result.against_book < 1e-9
    assert result.against_differences < 1e-5
