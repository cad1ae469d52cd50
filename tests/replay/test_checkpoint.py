"""Checkpoints on disk, whole at any moment, and what is said of those that are not."""

import os

import pytest

from replay.engine import checkpoint
from replay.engine.checkpoint import Checkpoints, Standing
from replay.engine.rows import InputError, OutputError

STATES = [("a", b"state of a"), ("b", b""), ("ü", bytes(range(256)) * 50)]


def standing(n):
    return Standing({"regimes": 2}, n, {"line": n}, {"labels": n}, {"x": 1})


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "state")
    for n in (1, 2):
        checkpoints.save(standing(n), STATES)
    return checkpoints


def test_what_is_saved_is_loaded(saved):
    found, states = saved.load()
    assert found == standing(2)
    assert list(states) == STATES
    names = sorted(path.name for path in saved.folder.iterdir())
    assert names == [checkpoint.NAME, checkpoint.BEFORE]


def test_only_its_owner_can_read_it_and_no_link_is_followed(saved, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    (saved.folder / "checkpoint.part").symlink_to(precious)
    saved.save(standing(3), STATES)
    assert precious.read_text() == "keep"
    assert (saved.folder / checkpoint.NAME).stat().st_mode & 0o077 == 0


def test_none_is_there(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert not checkpoints.exists
    with pytest.raises(InputError, match="there is no checkpoint in"):
        checkpoints.load()


def test_a_damaged_one_is_passed_over(saved):
    path = saved.folder / checkpoint.NAME
    content = path.read_bytes()
    rng_places = range(0, len(content), 997)
    for place in rng_places:
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        assert saved.load()[0] == standing(1)
    for length in (0, 1, 15, 16, 17, 100, len(content) - 1):
        path.write_bytes(content[:length])
        assert saved.load()[0] == standing(1)
    (saved.folder / checkpoint.BEFORE).write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint is damaged .*; .*before is damaged"):
        saved.load()


def resealed(path, change):
    """A checkpoint that was changed by somebody who knows about checksums."""
    import hashlib

    content = bytearray(path.read_bytes()[: -checkpoint.DIGEST])
    change(content)
    digest = hashlib.blake2b(content, digest_size=checkpoint.DIGEST).digest()
    path.write_bytes(bytes(content) + digest)


def test_other_versions_and_hostile_lengths(saved):
    (saved.folder / checkpoint.BEFORE).unlink()
    path = saved.folder / checkpoint.NAME

    def newer(content):
        content[8] = 9

    resealed(path, newer)
    said = f"is of version 9, and this release reads version {checkpoint.VERSION}"
    with pytest.raises(InputError, match=said):
        saved.load()

    def ours(content):
        content[8] = checkpoint.VERSION

    resealed(path, ours)
    assert saved.load()[0] == standing(2)

    def endless(content):
        content[16:24] = b"\xff" * 8

    resealed(path, endless)
    with pytest.raises(InputError, match="damaged"):
        saved.load()


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_failure_leaves_the_last_one(saved, step, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fails)
        with pytest.raises(OutputError, match="cannot be written: No space left"):
            saved.save(standing(3), STATES)
    assert saved.load()[0] == standing(2)
    saved.save(standing(4), STATES)
    assert saved.load()[0] == standing(4)


def test_order_of_what_reaches_the_disk(saved, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))

    def replaced(path, target):
        done.append(f"{path.name} -> {target.name}")
        replace(path, target)

    monkeypatch.setattr(os, "replace", replaced)
    saved.save(standing(3), STATES)
    assert done == [
        "fsync",
        "checkpoint -> checkpoint.before",
        "checkpoint.part -> checkpoint",
        "fsync",
    ]
