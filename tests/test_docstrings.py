"""Help stands alone: every parameter of a class is in the docstring of the class."""

import importlib
import inspect
import pkgutil
import re

import pytest

from online_gmm import em, features, learners


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""


def public_classes():
    for package in (em, features, learners):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, its in vars(importlib.import_module(module.name)).items():
                if inspect.isclass(its) and its.__module__ == module.name and name[0] != "_":
                    yield its


@pytest.mark.parametrize("its", list(public_classes()), ids=lambda its: its.__name__)
def test_every_parameter_is_documented(its):
    text = inspect.cleandoc(its.__doc__)
    _, _, section = text.partition("Parameters\n----------\n")
    named = re.findall(r"^(\w[\w, ]*?)(?: :.*)?$", section, re.MULTILINE)
    documented = {name.strip() for names in named for name in names.split(",")}
    own = its.__init__ if its.__init__ is not object.__init__ else its.__new__
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = {
        name
        for name, parameter in list(inspect.signature(own).parameters.items())[1:]
        if parameter.kind not in kinds
    }
    if "Learner" in its.__name__ or its.__name__ == "Intake":
        parameters = set()  # made by subclasses only
    assert parameters <= documented
