"""The torch target by torch.library: a Program -> the finished lines of `templates/library.py.jinja`.

The same statements as in `codegen/targets/torch.py`, registered as operators: the forward pass, the backward pass and the backward pass
of the backward pass. An operator has a fixed number of results, so that nothing may be dropped and made anew: the program is one
that runs whole. torch.library has no rule for forward mode, and torch.func.grad does not go through its operators: this is why autograd
Functions are what is written unless this is asked for.
"""

from __future__ import annotations

from typing import Any

from codegen.program import Program
from codegen.support import library_support, torch_support
from codegen.targets import torch
from codegen.targets.parts import constants, imports
from codegen.targets.support import functions_called

CALLS = torch.Calls("_forward", "_backward", "_second", "")
PASSES = ("blocking",)
"""The passes that a program of this target does without."""
STATEMENTS = (
    *("arguments", "public", "forward_pass", "forward_setup", "forward_backward"),
    *("backward_pass", "backward", "backward_setup", "backward_backward", "second"),
)
"""The fields of the torch target that stand here."""


def context(derivation: Any, program: Program) -> dict[str, Any]:
    """Every field of the template: those of the torch target, the support for what stands here, and how many results there are."""
    assert not program.loops and not program.dropped, "an operator runs whole"
    fields = torch.context(derivation, program, CALLS)
    for name in ("forward_setup", "backward_setup"):
        fields[name] = [line for line in fields[name] if not line.startswith("ctx.save_for_forward")]
    lines = [*fields["facts"], *(line for name in STATEMENTS for line in fields[name])]
    support = [
        *fields["facts"],
        *functions_called(torch_support, [*lines, "_no_third"]),
        *functions_called(library_support, ["_batched"]),
    ]
    code = "\n".join([*lines, *support])
    arguments = {
        name.replace("parameters", "arguments"): ", ".join(each.partition(":")[0] for each in fields[name].split(", ") if each)
        for name in ("forward_parameters", "backward_parameters", "second_parameters")
    }
    return {
        **fields,
        **arguments,
        "imports": imports(code),
        "constants": constants(code),
        "made": "Tensor" if fields["made"] == 1 else f"tuple[{', '.join(['Tensor'] * fields['made'])}]",
        "public_doc": fields["public_doc"].replace("in reverse and in forward mode", "in reverse"),
        "doc": [line.replace("a differentiable function for torch", "differentiable operators of torch.library") for line in fields["doc"]],
        "support": support,
    }
