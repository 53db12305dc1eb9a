"""A report as one HTML file: self-contained, without scripts, in light or dark.

`rnnspec.report.model` holds what a report says, `render` draws it.
"""

from rnnspec.report.model import Report
from rnnspec.report.page import render
from rnnspec.report.sections.numbers import binned

__all__ = ["Report", "binned", "render"]
