"""Kernels in NumPy: `forward`, `backward` and `jvp` of each layer, in a module of its own."""
