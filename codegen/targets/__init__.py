"""One file a target: ops to source text."""
