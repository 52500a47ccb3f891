"""Benchmarks: our derivations and kernels next to what a user would pick instead."""
