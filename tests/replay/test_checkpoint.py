"""Checkpoints on disk, whole at any moment, and what is said of those that are not."""

import os
import zlib
from pathlib import Path

import pytest

from replay.engine import checkpoint, disk
from replay.engine.checkpoint import Checkpoints, Header
from replay.engine.disk import DiskFile, HeldError, locked_folder
from replay.engine.rows import InputError, OutputError

STATES = [("a", b"state of a"), ("b", b""), ("ü", bytes(range(256)) * 50)]


def header(n):
    return Header({"regimes": 2}, n, {"line": n}, {"labels": n}, {"x": 1})


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "state")
    for n in (1, 2):
        checkpoints.save(header(n), STATES)
    return checkpoints


def test_what_is_saved_is_loaded(saved):
    found, states = saved.load()
    assert found == header(2)
    assert list(states) == STATES
    names = sorted(path.name for path in saved.folder.iterdir())
    assert names == [checkpoint.NAME, checkpoint.BEFORE, checkpoint.LOG]


def test_only_its_owner_can_read_it_and_no_link_is_followed(saved, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    (saved.folder / "checkpoint.part").symlink_to(precious)
    saved.save(header(3), STATES)
    assert precious.read_text() == "keep"
    assert (saved.folder / checkpoint.NAME).stat().st_mode & 0o077 == 0


def test_what_cannot_be_read_is_named(saved, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    monkeypatch.setattr(Path, "open", lambda path, *_: refused(path))
    with pytest.raises(InputError, match=rf"{checkpoint.NAME} cannot be read: Permission denied"):
        saved.load()


def test_a_folder_is_made_with_those_above_it_and_held_once(tmp_path):
    folder = tmp_path / "deep" / "down"
    handle = locked_folder(folder)
    with pytest.raises(HeldError) as caught:
        locked_folder(folder)
    os.close(handle)
    # the lock of a handle that is closed is none
    os.close(locked_folder(folder))
    if Path("/proc/locks").exists():
        assert caught.value.holder == f"process {os.getpid()}"


def test_who_holds_a_file_is_told_where_it_is_known(tmp_path, monkeypatch):
    locks = tmp_path / "locks"
    monkeypatch.setattr(disk, "LOCKS", locks)
    path = tmp_path / "file"
    path.touch()
    inode = path.stat().st_ino
    held = os.open(path, os.O_RDWR)
    for text, who in (
        (f"1: FLOCK  ADVISORY  WRITE 5988 fe:00:{inode} 0 EOF\n", "process 5988"),
        (f"1: FLOCK  ADVISORY  WRITE 0 fe:00:{inode} 0 EOF\n", "another process"),
        (f"1: POSIX  ADVISORY  WRITE 5988 fe:00:{inode} 0 EOF\n", "another process"),
        (f"1: FLOCK  ADVISORY  WRITE 5988 fe:00:{inode}1 0 EOF\n", "another process"),
    ):
        locks.write_text(text)
        assert disk._holder(held) == who
    locks.unlink()
    assert disk._holder(held) == "another process"
    os.close(held)


def test_a_file_that_is_there_is_kept_and_its_checksum_is_not_known(tmp_path):
    path = tmp_path / "file"
    file = DiskFile(path)
    file.write(b"abc")
    assert file.sync() == (3, zlib.crc32(b"abc"))
    file.close()
    file = DiskFile(path)
    file.write(b"de")
    assert file.length == 5
    assert file.sync() == (5, None)
    file.close()
    assert path.read_bytes() == b"abcde"


def test_a_new_file_must_be_new_and_no_link(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"abc")
    link.symlink_to(tmp_path / "elsewhere")
    for taken in (path, link):
        with pytest.raises(FileExistsError):
            DiskFile(taken, new=True)
    assert path.read_bytes() == b"abc"
    assert not (tmp_path / "elsewhere").exists()


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
        assert saved.load()[0] == header(1)
    for length in (0, 1, 15, 16, 17, 100, len(content) - 1):
        path.write_bytes(content[:length])
        assert saved.load()[0] == header(1)
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
    assert saved.load()[0] == header(2)

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
            saved.save(header(3), STATES)
    assert saved.load()[0] == header(2)
    saved.save(header(4), STATES)
    assert saved.load()[0] == header(4)


def test_order_of_what_reaches_the_disk(saved, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))

    def replaced(path, target):
        done.append(f"{path.name} -> {target.name}")
        replace(path, target)

    monkeypatch.setattr(os, "replace", replaced)
    saved.save(header(3), STATES)
    assert done == [
        "fsync",
        "checkpoint -> checkpoint.before",
        "checkpoint.part -> checkpoint",
        "fsync",
        # the name of the log
        "fsync",
    ]
    done.clear()
    saved.add(header(4), STATES, [])
    assert done == ["fsync"]


# -- what is added --------------------------------------------------------------------------------


def test_what_is_added_is_loaded(saved):
    length = (saved.folder / checkpoint.NAME).stat().st_size
    saved.put("b", b"first")
    saved.put("z", b"new")
    saved.add(header(3), [("b", b"second")], ["y", "z"][1:])
    saved.put("a", b"third")
    saved.add(header(4), [("c", b"")], ["c"])
    found, states = saved.load()
    assert found == header(4)
    # new keys come after those that were there, in the order in which they came
    assert list(states) == [("a", b"third"), ("b", b"second"), STATES[2], ("z", b"new"), ("c", b"")]
    assert (saved.folder / checkpoint.NAME).stat().st_size == length


def test_what_was_put_and_not_added_does_not_count(saved):
    saved.add(header(3), [("a", b"third")], [])
    saved.put("a", b"fourth")
    saved._log.file.flush()
    found, states = saved.load()
    assert (found, dict(states)["a"]) == (header(3), b"third")


def test_an_entry_that_is_cut_off_or_damaged_is_not_there(saved):
    saved.add(header(3), [("a", b"x" * 500)], [])
    path = saved.folder / checkpoint.LOG
    first = path.read_bytes()
    saved.add(header(4), [("b", b"y" * 500), ("n", b"")], ["n"])
    content = path.read_bytes()
    for place in range(len(first), len(content)):
        path.write_bytes(content[:place])
        assert saved.load()[0] == header(3)
    for place in range(len(first), len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        found, states = saved.load()
        assert found == header(3)
        assert dict(states)["b"] == b""
    for place in range(len(first)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        found, states = saved.load()
        assert (found, list(states)) == (header(2), STATES)


def test_a_log_of_another_checkpoint_is_not_read(saved):
    saved.add(header(3), [("a", b"third")], [])
    log = (saved.folder / checkpoint.LOG).read_bytes()
    saved.save(header(4), STATES)
    # as after a kill before it was removed
    (saved.folder / checkpoint.LOG).write_bytes(log)
    found, states = saved.load()
    assert (found, list(states)) == (header(4), STATES)
    # and after one before the new checkpoint had its name
    (saved.folder / checkpoint.NAME).rename(saved.folder / "checkpoint.part")
    found, states = saved.load()
    assert (found, dict(states)["a"]) == (header(3), b"third")


def test_a_long_log_makes_a_new_checkpoint(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "LEAST", 1000)
    monkeypatch.setattr(checkpoint, "LONGEST", 0.0)
    saved.save(header(3), STATES)
    log = saved.folder / checkpoint.LOG
    n_new = 0
    for i in range(50):
        saved.add(header(10 + i), [("a", b"%d" % i * 100), (f"n{i}", b"")], [f"n{i}"])
        assert log.stat().st_size < 1500
        n_new += not log.stat().st_size
        found, states = saved.load()
        assert found == header(10 + i)
        expected = {**dict(STATES), "a": b"%d" % i * 100, **{f"n{j}": b"" for j in range(i + 1)}}
        assert list(states) == list(expected.items())
    assert n_new > 5
    names = sorted(path.name for path in saved.folder.iterdir())
    assert names == [checkpoint.NAME, checkpoint.BEFORE, checkpoint.LOG]


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_failure_to_add_leaves_the_last_one(saved, step, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    saved.add(header(3), STATES[:1], [])
    with monkeypatch.context() as patched:
        patched.setattr(os, step, fails)
        with pytest.raises(OutputError, match="log cannot be written: No space left"):
            saved.add(header(4), STATES[:1], [])
    again = Checkpoints(saved.folder)
    assert again.load()[0] in (header(3), header(4))
    with pytest.raises(OutputError):
        saved.add(header(5), STATES[:1], [])


# -- of a replay ----------------------------------------------------------------------------------


@pytest.fixture
def levels(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_text(
        "level\n" + "\n".join(f"{i % 7 + 20 * (i // 40 % 2)}" for i in range(200)) + "\n"
    )
    return path


def test_other_options_are_refused_by_name(cli, levels, tmp_path):
    def run(*more):
        options = ["--value", "level", "--regimes", 2, "--checkpoint", tmp_path / "state"]
        return cli("run", levels, *options, "--labels", tmp_path / "labels.csv", *more)

    assert run("--min-dwell", 3).exit_code == 0
    before = (tmp_path / "labels.csv").read_bytes()
    for more, option, now in (([], "--min-dwell", 1), (["--min-dwell", 5], "--min-dwell", 5)):
        result = run("--resume", *more)
        assert result.exit_code == 2
        assert (
            f"{option} is {now} and was 3 when the checkpoint was made; say the same, or start "
            "afresh without --resume"
        ) in " ".join(result.output.split())
        assert (tmp_path / "labels.csv").read_bytes() == before
    result = run("--resume", "--min-dwell", 3, "--segments", "segments.csv")
    assert "--segments is 'segments.csv' and was not given when the checkpoint" in result.stderr
    assert run("--resume", "--min-dwell", 3).exit_code == 0


def test_a_column_without_a_value_is_named(cli, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("level,load\n" + "x,\n" * 12)
    result = cli("run", path, "--value", "level,load", "--regimes", 2, "--on-bad", "missing")
    assert result.exit_code == 2
    assert ("column 'level', 'load': no row of 12 has a value; at least one is needed") in " ".join(
        result.output.split()
    )
