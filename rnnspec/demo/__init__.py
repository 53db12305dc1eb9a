"""Demo data that need no download, and the starter specs that use them."""
