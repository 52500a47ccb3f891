"""What `codegen` wrote from the proofs; never edited."""
