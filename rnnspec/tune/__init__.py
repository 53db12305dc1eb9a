"""Searching through the ranges of a spec (`rnnspec.spec.ranges`) with Optuna."""
