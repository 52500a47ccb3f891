"""The checker's strength: of the errors planted in true proofs nearly all are caught, and at the line they stand in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from derivations import derived

from derive.check import check_document
from derive.layers import LAYERS
from derive.mutate import Mutant, Score, every_mutant, is_an_error, mutants, score
from derive.sameness import same_matrix

KINDS = {
    "captured index",
    "changed coefficient",
    "dropped delta",
    "dropped factor",
    "dropped term",
    "lost 1/N",
    "lost sign",
    "lost sum",
    "swapped indices",
    "wrong exponent",
    "wrong index",
    "wrong transpose",
}


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return [json.loads(json.dumps(derived(layer).document())) for layer in LAYERS[::2]]


@pytest.fixture(scope="module")
def result(documents: list[dict[str, Any]]) -> Score:
    return score(documents, count=210, seed=11)


def shown(found: tuple[Mutant, ...]) -> list[tuple[str, str, int, str]]:
    return [(m.document["layer"]["name"], m.document["proofs"][m.proof]["name"], m.line, m.kind) for m in found]


def test_at_least_99_in_100_planted_errors_are_caught(result: Score) -> None:
    assert result.total >= 200
    assert result.share_caught >= 0.99, shown(result.missed)


def test_at_least_95_in_100_planted_errors_are_caught_at_their_line(result: Score) -> None:
    assert result.share_at_right_line >= 0.95, shown(result.misplaced)


def test_every_kind_of_mistake_is_planted(result: Score) -> None:
    assert set(result.by_kind) >= KINDS
    assert sum(total for _, _, total in result.by_kind.values()) == result.total


def test_a_mutant_differs_in_its_one_line(documents: list[dict[str, Any]]) -> None:
    original = documents[0]
    for mutant in mutants(original, seed=2, count=20):
        for number, (before, after) in enumerate(zip(original["proofs"], mutant.document["proofs"])):
            lines = [[p["goal"]["value"], *(s["after"] for s in p["steps"]), p["matrix"]] for p in (before, after)]
            places = [n for n, (a, b) in enumerate(zip(*lines)) if a != b]
            assert places == ([mutant.line] if number == mutant.proof else [])


def test_changes_that_leave_a_line_true_are_not_counted_and_do_not_fail(documents: list[dict[str, Any]]) -> None:
    """The judge of what is an error and the checker share no evaluation, and agree."""
    original = documents[0]
    harmless = [m for m in list(every_mutant(original))[::3] if not is_an_error(m, original)]
    assert harmless
    for mutant in harmless:
        assert check_document(mutant.document).ok, shown((mutant,))


def test_the_score_is_reproducible(documents: list[dict[str, Any]]) -> None:
    assert score(documents[:2], count=30, seed=5).by_kind == score(documents[:2], count=30, seed=5).by_kind


def test_the_judge_reads_every_matrix_node_so_that_a_true_line_is_never_called_an_error(documents: list[dict[str, Any]]) -> None:
    """A diagonal matrix is its own transpose: no error, and not one that the checker has missed."""
    seen: set[str] = set()
    for document in documents:
        for proof in document["proofs"]:
            found = _kinds(proof["matrix"]) - seen if proof["matrix"] is not None else set()
            if found:
                seen |= found
                assert same_matrix(proof, proof["matrix"]), (document["layer"]["name"], proof["name"], sorted(found))
    assert {"diag", "entries", "onehot"} <= seen


def _kinds(node: Any) -> set[str]:
    """The nodes of a matrix expression, and the scalar ones that stand in it."""
    if not isinstance(node, list) or not node:
        return set()
    own = {node[0]} if isinstance(node[0], str) and len(node) > 1 else set()
    return own.union(*(_kinds(part) for part in node))
