"""The documentation site: `sphinx-build -W docs site`."""

from prunebench.api.version import VERSION

project = "prunebench"
author = "the prunebench authors"
version = release = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
# Pages that GitHub shows too name files of the repository beside them.
suppress_warnings = ["myst.xref_missing", "myst.header"]
exclude_patterns = ["decisions/README.md"]
html_theme = "furo"
html_title = "prunebench"
html_theme_options = {"source_directory": "docs/"}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False
