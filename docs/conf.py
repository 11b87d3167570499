"""The documentation site: `sphinx-build -W docs site`."""

from prunebench.api.version import VERSION

project = "prunebench"
author = "the prunebench authors"
version = release = VERSION
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
# The notebooks are executed whenever the site is built, and an error in one is an error of the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
# Pages that GitHub shows too name files of the repository beside them.
suppress_warnings = ["myst.xref_missing", "myst.header"]
exclude_patterns = ["decisions/README.md", "**.ipynb_checkpoints"]
html_theme = "furo"
html_title = "prunebench"
html_theme_options = {"source_directory": "docs/"}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False
