"""A report as one HTML file: self-contained, without scripts, in light or dark."""
