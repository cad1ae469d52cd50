"""What is no table of rows, told by how it begins: what it is, and how to make one of it."""

from __future__ import annotations

AS_CSV = "write it as CSV or Parquet"
OF_NUMPY = "write it as CSV, as numpy.savetxt does with delimiter=','"
OTHERS = {
    b"\x93NUMPY": ("an array of numpy", OF_NUMPY),
    b"\x80\x04": ("a pickle of Python", "write the frame as CSV or Parquet"),
    b"\x80\x05": ("a pickle of Python", "write the frame as CSV or Parquet"),
    b"\x89HDF\r\n": ("HDF5, as pandas, MATLAB and netCDF write it", AS_CSV),
    b"CDF": ("netCDF", AS_CSV),
    b"MATLAB 5": ("a file of MATLAB", "write it as CSV, as writematrix and writetable do"),
    b"TDSm": ("TDMS of LabVIEW", "write it as CSV or Parquet, as nptdms.TdmsFile.as_dataframe can"),
    b"MDF     ": ("MDF of a vehicle", "write it as CSV or Parquet, as asammdf.MDF.export can"),
    b"SQLite format 3": ("a database of SQLite", "write the rows of a query as CSV"),
    b"RIFF": ("sound or video", "write its samples as CSV"),
    b"%PDF": ("PDF", "ask for the data as CSV"),
    b"\xd0\xcf\x11\xe0": ("a document of Microsoft Office", "call it .xls if it is a spreadsheet"),
    b"[[": (
        "an array of arrays in JSON",
        "one object a row is needed, as pandas writes with to_json(orient='records', lines=True)",
    ),
}
"""What files begin with that are not read, what they are, and what to do."""
UTF_16_SHARE = 0.25
"""Share of NUL characters in a line of UTF-16 at least; it is half if all letters are Latin."""


def why_not(start: bytes) -> str:
    """Why what begins so is not read, and what to do; empty if that is not known.

    Parameters
    ----------
    start
        The first bytes.
    """
    found = next((told for mark, told in OTHERS.items() if start.startswith(mark)), None)
    return "" if found is None else f"this is {found[0]}, which is not read; {found[1]}"


def why_nul(line: str) -> str:
    """What a NUL character in a line means, and what to do.

    Parameters
    ----------
    line
        As it was decoded.
    """
    places = (line[::2], line[1::2])
    n_nul = [its.count("\0") for its in places]
    if max(n_nul) >= UTF_16_SHARE * len(line) and min(n_nul) <= max(n_nul) // 4:
        # without the mark of its byte order, which would have said that it is UTF-16
        order = "be" if n_nul[0] > n_nul[1] else "le"
        return (
            "there is a NUL character, as when UTF-16 is read as something else; try --encoding "
            f"utf-16-{order}"
        )
    return (
        "there is a NUL character, as in a file that is no text, or where a logger lost power; "
        "--on-bad skip leaves such rows out"
    )
