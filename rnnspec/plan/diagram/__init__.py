"""The whole model as a picture: boxes for a terminal, SVG for a page."""

from rnnspec.plan.diagram.boxes import Box, Diagram, Flow
from rnnspec.plan.diagram.of_plan import diagram
from rnnspec.plan.diagram.svg import svg
from rnnspec.plan.diagram.text import text

__all__ = ["Box", "Diagram", "Flow", "diagram", "svg", "text"]
