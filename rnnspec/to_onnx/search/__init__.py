"""Searches for a sequence of tokens, each a loop around the body of a decoder."""
