"""A derivation as JSON: the document that the checker reads, one step a line."""

from __future__ import annotations

import json
from typing import Any

from derive.proof import DETAILS, proof_from, proof_json


def document(derivation: Any, detail: str = "baby") -> str:
    """The JSON text of a derivation (schema: `derive.proof`), ending in a newline; by default with every line of every proof."""
    return dumps(at_detail(derivation.document(), detail))


def at_detail(data: dict[str, Any], detail: str) -> dict[str, Any]:
    """The document with the lines of a level of detail."""
    if detail == DETAILS[-1]:
        return data
    return {**data, "proofs": [proof_json(proof_from(proof).at(detail)) for proof in data["proofs"]]}


def dumps(data: Any) -> str:
    """JSON with dictionaries and lists of dictionaries spread over lines, and expressions each on one line."""
    return _dump(data, 0) + "\n"


def _dump(data: Any, depth: int) -> str:
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(data, dict) and any(isinstance(value, (dict, list)) and value for value in data.values()):
        parts = [f"{json.dumps(key)}: {_dump(value, depth + 1)}" for key, value in data.items()]
        return "{" + inner + ("," + inner).join(parts) + outer + "}"
    if isinstance(data, list) and any(isinstance(item, dict) for item in data):
        return "[" + inner + ("," + inner).join(_dump(item, depth + 1) for item in data) + outer + "]"
    return json.dumps(data, ensure_ascii=False)
