"""The form of a signature: which layers stand behind a function of torch.nn.functional, and how its arguments become theirs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

OLD = "size_average=None, reduce=None, reduction='mean'"
"""The reduction, after the two arguments that it has replaced."""


def lines(*parts: str) -> str:
    """The statements of all parts, one after the other, whatever their margins."""
    return "\n".join(line for part in parts for line in inspect.cleandoc(part).splitlines() if line.strip())


@dataclass(frozen=True)
class Signature:
    """A function of torch.nn.functional.

    `parameters` are as torch has them; `reals` are those that hold real numbers and share one type; `mixed` says what becomes of
    different types: "refuse", "promote", "parameters" (all but the first may be wider), or "low" (refuse, and compute in half
    precision where the arguments have it). `autocast` is the list of torch.amp on which the function stands: "low" for the lower
    precision, "wide" for float32, "accelerator" for float32 except on a CPU, "same" for neither. `body` is what moves the axes and
    chooses the layer, a statement a line; `@name(...)` calls the kernel of a layer, and the names with an underscore are those of
    `codegen/support/functional_support.py`. `kind` is the type of the result. Without `reals`, the
    body is a composition of other functions, which see to types themselves.
    """

    name: str
    parameters: str
    reals: str
    body: str
    mixed: str = "refuse"
    autocast: str = "same"
    returns: str = "Tensor"


def loss(
    name: str,
    parameters: str,
    reals: str,
    each: str,
    before: str = "",
    shape: str = "input.shape",
    mixed: str = "promote",
) -> Signature:
    """A loss with its reductions: `each` is the loss of every entry or row, in one axis, `shape` that of the result that keeps them."""
    old = "size_average, reduce" if "size_average" in parameters else "None, None"
    after = f"""
        if reduction == "none":
            return each.reshape({shape})
        return @mean_of_entries(each) if reduction == "mean" else @sum_of_entries(each)
    """
    body = lines(f"reduction = _reduction(reduction, {old})", before, f"each = {each}", after)
    return Signature(name, parameters, reals, body, mixed, "wide")


def weighted(name: str, parameters: str, each: str, mean: str = "") -> Signature:
    """A loss of an input and a target of one shape, with a weight for each entry. Its mean divides by the sum of the
    weights, unless `mean` says otherwise."""
    mean = mean or "@mean_of_entries(each) if weight is None else @mean_per_weight(each, _flat(weight.detach()))"
    old = "size_average, reduce" if "size_average" in parameters else "None, None"
    body = f"""
        reduction = _reduction(reduction, {old})
        if weight is not None and weight.shape != input.shape:
            raise ValueError("{name}: Weights and input must have the same size.")
        input, target = _together("{name}", input, target)
        each = {each}
        if weight is not None:
            each = @weighted_entries(each, _flat(weight.detach()))
        if reduction == "none":
            return each.reshape(input.shape)
        if reduction == "mean":
            return {mean}
        return @sum_of_entries(each)
    """
    return Signature(name, parameters, "input target weight", lines(body), "promote", "wide")


def entrywise(name: str, parameters: str, call: str, before: str = "", autocast: str = "same") -> Signature:
    """A function of each entry: `call` takes `X`, all entries in a row, and gives as many. In place, `X` is a copy, since a layer
    holds its input."""
    inplace = "inplace=False" in parameters
    body = f"""
        X = {"(input.clone() if inplace else input)" if inplace else "input"}.reshape(1, -1)
        result = {call}.reshape(input.shape)
        return {"given.copy_(result) if inplace else result" if inplace else "result"}
    """
    return Signature(name, parameters, "input", lines(before, body), "refuse", autocast)
