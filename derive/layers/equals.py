"""Which layers of the catalogue compute the same, and what the tensors of one are in the other: claims, which `derive equal` proves.

An entry names two layers; a line of `where` gives a tensor of the second in the words of the first, and `facts` are hypotheses
about the first one's inputs. A layer's page tells of its equals, so they are found here by name, without reading a spec.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Same:
    """The claim that `second` computes what `first` does, where its inputs are what `where` says and `facts` hold."""

    first: str
    second: str
    where: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


EQUALS = (
    Same("linear", "linear_out_in", ("W[j,k] = W[k,j]",)),
    Same("softmax", "softmax_columns", ("S[j,i] = S[i,j]",)),
    Same("attention", "attention_columns", ("Q[d,i] = Q[i,d]", "K[d,j] = K[j,d]", "V[e,j] = V[j,e]")),
    Same("attention_tied", "attention", ("K[j,d] = Q[j,d]",)),
    Same("multi_head", "cross_attention", ("Z[t,c] = X[t,c]",)),
    Same("pairwise_convolution_split", "pairwise_convolution", (), ("sum(j, A[i,j]) = 1",)),
    Same("factorisation_machine", "factorisation_machine_pairs"),
    Same("cross_entropy_labels", "cross_entropy", ("T[i,j] = where(j == y[i], 1, 0)",)),
    Same("cross_entropy_labels_smooth", "cross_entropy_smooth", ("T[i,j] = where(j == y[i], 1, 0)",)),
    Same("sgd_torch", "sgd", ("alpha = lr", "lam = lr*weight_decay")),
    Same(
        "momentum_torch",
        "momentum",
        ("G[p] = (1 - tau)*(G[p] + weight_decay*theta[p])", "V[p] = -lr*B[p]", "epsilon = lr", "V_new[p] = -lr*B_new[p]"),
    ),
    Same(
        "nesterov_torch",
        "nesterov",
        (
            "theta[p] = theta[p] + lr*mu*B[p]",
            "G[p] = G[p] + weight_decay*theta[p]",
            "V[p] = -lr*B[p]",
            "epsilon = lr",
            "phi_new[p] = theta_new[p]",
            "theta_new[p] = theta_new[p] + lr*mu*B_new[p]",
            "V_new[p] = -lr*B_new[p]",
        ),
    ),
    Same("adam_torch", "adam", ("G[p] = G[p] + weight_decay*theta[p]", "alpha = lr")),
    Same("adamw_torch", "adamw", ("alpha = lr", "eta = 1", "lam = lr*weight_decay")),
)


def equals_of(name: str) -> tuple[Same, ...]:
    """The claims about a layer of the catalogue."""
    return tuple(same for same in EQUALS if name in (same.first, same.second))


def between(first: str, second: str) -> Same | None:
    """The claim about two layers of the catalogue, in either order."""
    return next((same for same in EQUALS if {same.first, same.second} == {first, second}), None)
