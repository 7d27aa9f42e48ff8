# Sphinx's configuration. The site is built by ./run docs, which gathers its pages: site/build.py.
import pathlib

here = pathlib.Path(__file__).resolve().parent

project = "gradwalk"
html_title = "gradwalk"
extensions = ["myst_parser"]
myst_heading_anchors = 4  # a link to a heading, as in a repository browser
suppress_warnings = ["misc.highlighting_failure"]
primary_domain = "cpp"
highlight_language = "cpp"
pygments_style, pygments_dark_style = "default", "native"

html_theme = "furo"
html_static_path = [str(here / "site" / "style.css")]
html_css_files = ["style.css"]
html_copy_source = html_show_sourcelink = False
html_show_search_summary = False  # it fetches pages, which a browser refuses from file:
html_show_copyright = html_show_sphinx = False
try:
    import sphinx_copybutton  # noqa: F401
    extensions.append("sphinx_copybutton")
    copybutton_selector = ".highlight-sh pre, .highlight-cpp pre, .highlight-python pre, .highlight-cmake pre"
except ImportError:
    pass


def setup(app):  # a search finds functions, not each of their parameters
    from sphinx.domains.cpp import CPPDomain
    every = CPPDomain.get_objects
    CPPDomain.get_objects = lambda self: (o for o in every(self) if o[2] not in ("functionParam", "templateParam"))
