"""Differentiable functions for torch, one of each layer, in a module of its own."""
