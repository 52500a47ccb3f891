"""The parts of the `derive` command: what a name means, what is printed where, and the checker's ledger."""
