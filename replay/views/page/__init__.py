"""A page with a picture of every series: as a file, or served while points arrive."""

from importlib.util import find_spec

from replay.engine.rows import InputError

if find_spec("bokeh") is None:
    raise InputError("--report and --serve need Bokeh: pip install 'online-gmm[page]'")

from replay.views.page.bokeh_models import import_models

import_models()
