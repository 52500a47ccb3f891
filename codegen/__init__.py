"""From proofs to kernels: Derivation -> Program -> source text."""
