"""Imports Bokeh's models in half of the time that it takes by itself."""

from typing import Any

from bokeh.model import Model


def import_models() -> None:
    """Import Bokeh's models without the signatures of their constructors.

    Signatures serve whoever asks for help. To make them goes through all properties of some 400
    models, which takes as long as all else. Models that are imported already are left as they are,
    and so is a Bokeh that does not describe them by ``Model.parameters``.
    """
    described: Any = vars(Model).get("parameters")
    if described is None:
        return
    Model.parameters = classmethod(_undescribed)  # type: ignore[method-assign]
    try:
        import bokeh.models
        import bokeh.plotting  # noqa: F401
    finally:
        Model.parameters = described  # type: ignore[method-assign]


def _undescribed(_: type[Model]) -> list[Any]:
    return []
