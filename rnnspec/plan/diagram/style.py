"""The looks of an SVG diagram: sizes of the letters, colours in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping

SIZES: Mapping[str, float] = {
    "title": 17.0,
    "name": 14.0,
    "operation": 13.0,
    "line": 12.0,
    "shape": 12.0,
}
"""Height of the letters in pixels, by style of text."""

LIGHT: Mapping[str, str] = {
    "page": "#ffffff",
    "box": "#f6f8fa",
    "text": "#1b1f24",
    "quiet": "#57606a",
    "edge": "#818b98",
    "input": "#0a7d6c",
    "layer": "#2f5fd0",
    "output": "#b0520a",
}
DARK: Mapping[str, str] = {
    "page": "#13161b",
    "box": "#1d222a",
    "text": "#e8ebef",
    "quiet": "#a6afbb",
    "edge": "#717c8a",
    "input": "#3fc1ac",
    "layer": "#7fa6ff",
    "output": "#f0a05a",
}
"""Colours by what they are for; text on `box` and on `page` keeps a contrast of 4.5 to 1."""

_SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif'
_MONOSPACE = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace'


def variables(colours: Mapping[str, str]) -> str:
    """Colours as custom properties of CSS."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _rules() -> str:
    """Every rule starts with the class of the diagram: in a page, styles count for all of it."""
    sizes = "\n".join(f"@ .{style} {{ font-size: {size:g}px }}" for style, size in SIZES.items())
    rules = f"""
@ {{ max-width: 100%; height: auto; {variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ @ {{ {variables(DARK)} }} }}
@ text {{ font-family: {_SANS}; fill: var(--text) }}
{sizes}
@ .title, @ .name {{ font-weight: 600 }}
@ .line, @ .shape {{ fill: var(--quiet) }}
@ .shape {{ font-family: {_MONOSPACE} }}
@ .page {{ fill: var(--page) }}
@ .frame, @ .sheet {{ fill: var(--box); stroke: var(--edge); stroke-width: 1 }}
@ .input .frame, @ .input .sheet {{ stroke: var(--input) }}
@ .layer .frame, @ .layer .sheet {{ stroke: var(--layer) }}
@ .output .frame, @ .output .sheet {{ stroke: var(--output) }}
@ .frame {{ stroke-width: 1.5 }}
@ .sheet {{ stroke-opacity: 0.6 }}
@ .training .frame, @ .training .sheet {{ stroke-dasharray: 5 4 }}
@ path.line, @ .way {{ fill: none; stroke: var(--edge); stroke-width: 1.5 }}
@ .head {{ fill: var(--edge) }}
@ .step {{ fill: var(--layer) }}
@ .layer .way {{ stroke: var(--layer); stroke-width: 1 }}
@ .layer .head {{ fill: var(--layer) }}
"""
    return rules.replace("@media", "\0").replace("@", ".rnnspec-diagram").replace("\0", "@media")


STYLE = _rules()
"""The style sheet of a diagram."""
