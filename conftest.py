"""What is collected only where an ecosystem, or Sphinx, is installed."""

from importlib.util import find_spec

collect_ignore = []
for ecosystem in ("aeon", "sktime"):
    if find_spec(ecosystem) is None:
        collect_ignore += [f"online_gmm/{ecosystem}.py", f"tests/facades/test_{ecosystem}.py"]
if find_spec("sphinx") is None:
    collect_ignore.append("docs/conf.py")
