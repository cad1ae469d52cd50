"""The documentation as a site: `scripts/docs` builds it to out/docs/."""

import inspect
import re
from pathlib import Path

import typer
from sphinx.application import Sphinx

import online_gmm
from replay.cli.app import app as command_line

project = "online-gmm"
release = version = online_gmm.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["colon_fence"]
# "--" is the beginning of an option
smartquotes_action = "qe"
html_theme = "pydata_sphinx_theme"
html_title = project
html_sidebars = {"**": ["sidebar-nav-bs"], "index": [], "faq": [], "comparison": []}
html_theme_options = {"show_prev_next": False}
exclude_patterns = ["figures"]
myst_heading_anchors = 3
autosummary_generate = True
autodoc_typehints = "none"
# tested in an environment of their own
autodoc_mock_imports = ["aeon", "sktime"]
# the methods of a class with their documentation, but for what river and Python bring along
autodoc_default_options = {
    "members": True,
    "inherited-members": "Base,Estimator,Clusterer,MiniBatchTransformer,BaseEstimator,"
    "_MetadataRequester,DensityMixin,tuple,object",
}
numpydoc_show_class_members = False

HERE = Path(__file__).parent
sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples" / "gallery")],
    "gallery_dirs": ["_generated/gallery"],
    "filename_pattern": "plot_",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r"numpy\.ndarray|matplotlib",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
}

GENERATED = HERE / "_generated"


def _literal(text: str) -> str:
    """A text of the command line as reStructuredText: its Markdown has bold and *emphasis* only."""
    plain = " ".join(text.split()).replace("*", "\\*").replace("`", "").replace("|", "\\|")
    return re.sub(r"(?<=\s)\\\*(\w+)\\\*(?=[\s.,;])", r"*\1*", plain)


def _paragraphs(text: str) -> list[str]:
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return [_literal(paragraph.replace("**", "")) for paragraph in paragraphs]


def command_reference() -> str:
    """Every command and option, as the commands themselves have them."""
    group = typer.main.get_command(command_line)
    lines = ["Commands", "========", ""]
    for paragraph in _paragraphs(group.help or ""):
        lines += [paragraph, ""]
    for name, command in group.commands.items():
        title = f"replay {name}"
        lines += [title, "-" * len(title), ""]
        for paragraph in _paragraphs(command.help or ""):
            lines += [paragraph, ""]
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            shown = [*parameter.opts, *parameter.secondary_opts]
            named = parameter.opts[0].startswith("--")
            term = ", ".join(shown) if named else parameter.metavar or parameter.name
            value = "" if getattr(parameter, "is_flag", False) or not named else parameter.metavar
            lines += [f"``{term} {value or ''}".rstrip() + "``"]
            text = _literal(getattr(parameter, "help", None) or "")
            default = parameter.default
            if getattr(parameter, "show_default", False) and isinstance(default, str | int | float):
                text += "" if default is False else f" [default: {_literal(str(default))}]"
            lines += [f"    {text}", ""]
    return "\n".join(lines)


def link_to_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links to scripts of the gallery become links to their pages."""
    source[0] = (
        source[0]
        .replace("(../examples/gallery/GALLERY_HEADER.rst)", "(_generated/gallery/index.rst)")
        .replace("(../README.md)", "(index.md)")
    )
    source[0] = re.sub(
        r"\(\.\./examples/gallery/(\w+)\.py\)", r"(_generated/gallery/\1.rst)", source[0]
    )


def setup(app: Sphinx) -> None:
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "commands.rst").write_text(command_reference())
    app.connect("source-read", link_to_pages)
