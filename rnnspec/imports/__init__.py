"""Weights that were trained elsewhere, brought into a build."""
