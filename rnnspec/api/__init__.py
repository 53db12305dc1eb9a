"""rnnspec in Python: what the command line does, for programs and notebooks (`rnnspec.load`)."""

from rnnspec.openmp import spin_briefly

spin_briefly()
