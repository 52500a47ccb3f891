"""Functions that are copied, as they stand here, into the generated modules that call them."""
