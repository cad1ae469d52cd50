"""Names of columns as the engine takes them literally."""


def quoted(name: str) -> str:
    """A column of this very name, with dots or not.

    Examples
    --------
    >>> quoted("motor.load")
    '`motor.load`'
    """
    return "`" + name.replace("`", "``") + "`"
