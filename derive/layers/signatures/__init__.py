"""The functions of torch.nn.functional that layers of the catalogue stand behind: names, arguments and variants, as data."""

from __future__ import annotations

from derive.layers.signatures.activations import ACTIVATIONS
from derive.layers.signatures.form import Signature
from derive.layers.signatures.heads import HEADS
from derive.layers.signatures.losses import LOSSES
from derive.layers.signatures.maps import MAPS
from derive.layers.signatures.modules import MODULES, Module
from derive.layers.signatures.windows import WINDOWS

__all__ = ["MODULES", "SIGNATURES", "Module", "Signature"]

SIGNATURES: tuple[Signature, ...] = (*MAPS, *WINDOWS, *HEADS, *ACTIVATIONS, *LOSSES)
