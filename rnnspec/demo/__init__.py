"""The demo world: real data that needs no download, and the starter specs that use it."""
