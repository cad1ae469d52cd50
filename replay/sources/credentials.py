"""Files of secrets, which other users must not be able to read."""

from __future__ import annotations

import stat
from pathlib import Path

from replay.engine.rows import InputError


def pairs_of(path: Path) -> dict[str, str]:
    """The lines ``name=value`` of a file.

    Raises
    ------
    InputError
        If it cannot be read, or others can read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--credentials {path} cannot be read: {error}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise InputError(
            f"--credentials {path} can be read by others (mode {stat.S_IMODE(mode):o}); say "
            f"chmod 600 {path}"
        )
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}
