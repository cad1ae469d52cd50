"""A fleet at a glance: the strange ones first, sorted and searched."""

import re

import pytest
from typer.testing import CliRunner

from replay.cli.app import app

OPTIONS = ("--value", "level", "--key", "device", "--regimes", "2", "--warm-up", "60")


def write_rows(path, pumps):
    """120 rows of each: one changes often, one has outliers, one is in a regime it is rarely in."""
    lines = ["device,level"]
    for i in range(120):
        for j in pumps:
            level = j % 3 + i % 5 * 0.1 + 20 * (i // 60)
            if j == 7:
                level = i % 5 * 0.1 + 20 * (i // 10 % 2)
            elif j == 50 and i > 80 and i % 4 == 0:
                level = 5000
            elif j == 99:
                level = i % 5 * 0.1 + 20 * (i >= 117)
            lines.append(f"pump-{j:03},{level}")
        if i < 30:
            lines.append(f"new,{i % 5}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """The checkpoint of 131 keys, for all that look at it."""
    folder = tmp_path_factory.mktemp("fleet")
    write_rows(folder / "rows.csv", range(130))
    words = ("run", folder / "rows.csv", *OPTIONS, "--learner", "mixture")
    written = ("--checkpoint", folder / "state", "--labels", folder / "labels.csv")
    done = CliRunner().invoke(app, [str(word) for word in (*words, *written)])
    assert done.exit_code == 0, done.output
    return folder / "state"


def keys_of(found):
    assert found.exit_code == 0, found.output
    return re.findall(r"│ (pump-\d+|new) ", found.output)


def test_one_key_of_many_is_drawn(cli, tmp_path, monkeypatch):
    drawn = []
    write_rows(tmp_path / "rows.csv", (7, 50, 99))
    monkeypatch.setattr("replay.views.plot.draw_series", lambda *its: drawn.append(its))
    picture = ("--plot", tmp_path / "one.png")
    done = cli("run", tmp_path / "rows.csv", *OPTIONS, *picture, "--plot-key", "pump-050")
    assert done.exit_code == 0, done.output
    ((its, _, parameters, title, _),) = drawn
    lines = [line.split(",") for line in (tmp_path / "rows.csv").read_text().splitlines()[1:]]
    assert [value for (value,) in its.sample.values] == [
        float(level) for device, level in lines if device == "pump-050"
    ]
    assert its.bands.n_segments > 1
    assert title == "rows.csv, pump-050"
    assert parameters.labels == (0, 1)
    for words, problem in [
        ((*OPTIONS, *picture), "say with --plot-key of which key"),
        ((*OPTIONS, *picture, "--plot-key", "x"), "no row has the key 'x'"),
        ((*OPTIONS, "--plot-key", "x"), "add --plot"),
        (("--value", "level", *picture, "--plot-key", "x"), "add --key"),
    ]:
        found = cli("run", tmp_path / "rows.csv", *words)
        assert found.exit_code == 2
        assert problem in " ".join(found.output.split()), words


def test_the_strange_ones_come_first(cli, fleet):
    found = cli("models", fleet)
    keys = keys_of(found)
    assert len(keys) == 100
    # its warm-up is not complete: nothing is known of it
    assert keys[0] == "new"
    assert "pump-050" in keys[:10]
    assert "the 100 of 131 that are strangest" in found.output


def test_other_orders(cli, fleet):
    assert keys_of(cli("models", fleet, "--sort", "changes"))[0] == "pump-007"
    assert keys_of(cli("models", fleet, "--sort", "outliers"))[0] == "pump-050"
    assert keys_of(cli("models", fleet, "--sort", "rows"))[-1] != "new"


def test_keys_are_found_by_a_part(cli, fleet):
    found = cli("models", fleet, "--find", "-09")
    assert sorted(keys_of(found)) == [f"pump-09{i}" for i in range(10)]
    assert "of the keys with '-09' in them" in " ".join(found.output.split())
    assert "no key has 'valve' in it" in cli("models", fleet, "--find", "valve").output
