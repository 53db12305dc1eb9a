"""The manual: Sphinx with MyST and Furo, nothing of which is fetched when a page is read.

`make docs` writes it to build/docs. Pages that are read off the package are written first, into
docs/generated (`generate.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402

from rnnspec import __version__  # noqa: E402

generate.write_pages(HERE / "generated")

project = "rnnspec"
default_role = "code"
version = release = __version__
copyright = "the rnnspec authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # quotes stand around values to be copied

html_theme = "furo"
html_title = f"rnnspec {__version__}"
html_static_path = ["static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True, "footer_icons": []}
pygments_style = "friendly"
pygments_dark_style = "monokai"
