"""rnnspec in Python: what the command line does, for programs and notebooks (`rnnspec.load`)."""
