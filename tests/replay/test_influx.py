"""Labelled rows in InfluxDB's line protocol, read back as its documentation has it."""

import re

import pytest


def parsed(line):
    """Tags, fields and timestamp of a line."""
    head, fields, *time = re.split(r"(?<!\\) ", line)
    measurement, *tags = re.split(r"(?<!\\),", head)
    assert measurement == "replay"

    def pairs(texts):
        return {
            re.sub(r"\\(.)", r"\1", name): re.sub(r"\\(.)", r"\1", value)
            for name, value in (re.split(r"(?<!\\)=", text) for text in texts)
        }

    return pairs(tags), pairs(re.split(r"(?<!\\),", fields)), int(time[0]) if time else None


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    lines = ["when,device,flow [l/s],label"]
    for i in range(300):
        device = '"a, b=c"' if i % 2 else "p7"
        value = "" if i == 250 else f"{i % 5 + 20 * (i // 40 % 2)}.25"
        lines.append(f"2026-03-01T00:{i // 60:02}:{i % 60:02}.5Z,{device},{value},{i}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lines(cli, rows, tmp_path):
    out = tmp_path / "labels.lp"
    options = ["--value", "flow [l/s]", "--time", "when", "--key", "device", "--warm-up", "50"]
    found = cli("run", rows, *options, "--labels", out, "--regimes", "2")
    assert found.exit_code == 0, found.output
    table = tmp_path / "labels.csv"
    assert cli("run", rows, *options, "--labels", table, "--regimes", "2").exit_code == 0
    lines = [parsed(line) for line in out.read_text().splitlines()]
    assert len(lines) == 300
    assert {tags["key"] for tags, _, _ in lines} == {"p7", "a, b=c"}
    import csv

    with table.open(newline="") as file:
        expected = list(csv.DictReader(file))
    for (tags, fields, time), row in zip(lines, expected, strict=True):
        assert tags["key"] == row["device"]
        assert fields["label"] == row["label"] + "i"
        assert fields["change"] == ("true" if row["change"] == "1" else "false")
        assert ("flow [l/s]" in fields) == (row["flow [l/s]"] != "")
        minute, second = row["when"][14:16], row["when"][17:19]
        assert time == (1772323200 + 60 * int(minute) + int(second)) * 10**9 + 500_000_000


def test_a_value_that_is_called_as_what_is_added(cli, rows, tmp_path):
    out = tmp_path / "labels.lp"
    found = cli("run", rows, "--value", "label", "--labels", out, "--regimes", "2")
    assert found.exit_code == 0, found.output
    tags, fields, time = parsed(out.read_text().splitlines()[7])
    assert (tags, time) == ({}, None)
    assert fields["value_label"] == "7.0"
    assert fields["label"].endswith("i")
