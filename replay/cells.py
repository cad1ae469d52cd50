"""Lines of text as cells and numbers, and labelled cells as lines: what a replay reads and writes.

Only what is plain is taken: lines that end in LF or CR LF, cells without quotes, or in quotes
without any within, and numbers in digits. All else is left to whoever asks.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array

POWERS = array("d", [float(f"1e{i}") for i in range(23)])
"""Of 10, those that are doubles."""
LONGEST = 131_072
"""Bytes of a line that is taken."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def rounding(product: cython.double, x: cython.double, y: cython.double) -> cython.double:
    """How much the rounded product of x and y is below the true one (Dekker 1971)."""
    x_high: cython.double = 134217729.0 * x
    y_high: cython.double = 134217729.0 * y
    x_high -= x_high - x
    y_high -= y_high - y
    x_low: cython.double = x - x_high
    y_low: cython.double = y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def scaled(
    digits: cython.ulonglong, exponent: cython.int, powers: cython.double[::1]
) -> cython.double:
    """The double nearest to digits * 10^exponent; -1 where that is not certain.

    Below 2^53, with a power of 10 that is a double, one operation rounds once (Clinger 1990).
    Beyond, the same in twice the precision is certain unless it comes close to the middle of two
    doubles.
    """
    power: cython.double
    high: cython.double
    low: cython.double
    value: cython.double
    rest: cython.double
    if digits == 0:
        return 0.0
    if exponent > 22 or exponent < -22:
        return -1.0
    power = powers[exponent if exponent >= 0 else -exponent]
    # digits are high + low
    value = (digits >> 32) * 4294967296.0
    rest = (digits - ((digits >> 32) << 32)) * 1.0
    high = value + rest
    low = rest - (high - value)
    if digits >> 53 == 0:
        return high * power if exponent >= 0 else high / power
    if exponent >= 0:
        value = high * power
        rest = rounding(value, high, power) + low * power
    else:
        value = high / power
        rest = value * power
        rest = (((high - rest) - rounding(rest, value, power)) + low) / power
    high = value + rest
    low = rest - (high - value)
    return high if high + 1.0000001 * low == high else -1.0


def cut(
    data: cython.uchar[::1],
    begin: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    delimiter: cython.int,
    decimal: cython.int,
    slots: cython.Py_ssize_t[::1],
    numbers: cython.Py_ssize_t[::1],
    n_slots: cython.Py_ssize_t,
    n_numbers: cython.Py_ssize_t,
    starts: cython.int[::1],
    ends: cython.int[::1],
    values: cython.double[::1],
    unread: cython.Py_ssize_t[::1],
) -> tuple[int, int, int, bool]:
    """Cut lines into cells, and read numbers, from begin until end or a line that is not plain.

    Parameters
    ----------
    data
        Bytes, of which the last before end is LF.
    delimiter, decimal
        Between cells, and in numbers.
    slots, numbers
        For each cell of a line, where in ``starts`` and ``ends``, and in ``values``, it is noted;
        -1 where it is not.
    starts, ends
        Of the cells in data, shape (n, n_slots).
    values
        Numbers, shape (n, n_numbers); NaN where the cell is empty or unread.
    unread
        Places in ``values`` of cells that may be numbers but are not read here.

    Returns
    -------
    tuple
        Lines taken, where they end, how many are unread, and whether there are commas in quotes in
        cells that are noted.
    """
    row: cython.Py_ssize_t = 0
    place: cython.Py_ssize_t = begin
    at: cython.Py_ssize_t
    start: cython.Py_ssize_t
    column: cython.Py_ssize_t
    n_unread: cython.Py_ssize_t = 0
    n_before: cython.Py_ssize_t = 0
    width: cython.Py_ssize_t = len(slots)
    c: cython.int = 0
    mark: cython.int
    commas: cython.bint = False
    digits: cython.ulonglong
    n_digits: cython.int
    exponent: cython.int
    power: cython.int
    negative: cython.bint
    seen: cython.bint
    known: cython.bint
    plain: cython.bint = True
    value: cython.double
    missing: cython.double = float("nan")
    powers: cython.double[::1] = POWERS
    with cython.nogil:
        while place < end:
            at = place
            n_before = n_unread
            column = 0
            while column < width:
                c = data[at]
                mark = delimiter
                if c == 34:
                    mark = 34
                    at += 1
                    c = data[at]
                start = at
                if numbers[column] >= 0:
                    # as Python's float does, but never across a delimiter
                    while c == 32 and c != mark:
                        at += 1
                        c = data[at]
                if numbers[column] >= 0 and c != mark and c != 10 and c != 13:
                    negative = c == 45
                    if c == 45 or c == 43:
                        at += 1
                        c = data[at]
                    digits = 0
                    n_digits = exponent = 0
                    seen = False
                    while 48 <= c <= 57:
                        seen = True
                        if n_digits < 19:
                            digits = digits * 10 + (c - 48)
                        if digits > 0:
                            n_digits += 1
                        at += 1
                        c = data[at]
                    if c == decimal:
                        at += 1
                        c = data[at]
                        while 48 <= c <= 57:
                            seen = True
                            if n_digits < 19:
                                digits = digits * 10 + (c - 48)
                                exponent -= 1
                            if digits > 0:
                                n_digits += 1
                            at += 1
                            c = data[at]
                    known = seen and n_digits <= 19
                    if known and (c == 101 or c == 69):
                        at += 1
                        c = data[at]
                        seen = c == 45
                        if c == 45 or c == 43:
                            at += 1
                            c = data[at]
                        known = 48 <= c <= 57
                        power = 0
                        while 48 <= c <= 57:
                            if power < 1000:
                                power = power * 10 + (c - 48)
                            at += 1
                            c = data[at]
                        exponent += -power if seen else power
                    while c == 32 and c != mark:
                        at += 1
                        c = data[at]
                    known = known and (c == mark or c == 10 or c == 13)
                    value = scaled(digits, exponent, powers) if known else -1.0
                    if value < 0.0:
                        value = missing
                        unread[n_unread] = row * n_numbers + numbers[column]
                        n_unread += 1
                    values[row * n_numbers + numbers[column]] = -value if negative else value
                elif numbers[column] >= 0:
                    values[row * n_numbers + numbers[column]] = missing
                while c != mark and c != 10 and c != 13 and c != 34:
                    if c == 44 and slots[column] >= 0:
                        commas = True
                    at += 1
                    c = data[at]
                if slots[column] >= 0:
                    starts[row * n_slots + slots[column]] = start
                    ends[row * n_slots + slots[column]] = at
                if mark == 34:
                    if c != 34:
                        break
                    at += 1
                    c = data[at]
                    if c != delimiter and c != 10 and c != 13:
                        break
                column += 1
                if c != delimiter:
                    break
                at += 1
            # a CR must be followed by LF: the last byte is one
            if c == 13 and data[at + 1] == 10:
                at += 1
                c = 10
                # CR LF alone is a blank line
                plain = at - place > 1
            else:
                plain = at > place
            if not plain or c != 10 or column != width or at - place > 131072:
                break
            place = at + 1
            row += 1
            n_before = n_unread
    return row, place, n_before, bool(commas)


def joined(
    data: cython.uchar[::1],
    starts: cython.int[::1],
    ends: cython.int[::1],
    order: cython.Py_ssize_t[::1],
    n_slots: cython.Py_ssize_t,
    labels: cython.Py_ssize_t[::1],
    digits: cython.int[::1],
    decimals: cython.int[::1],
    outlier: cython.uchar[::1],
    change: cython.uchar[::1],
    out: cython.uchar[::1],
) -> int:
    """Write lines of cells, each with a label, a probability and two flags, between commas.

    Parameters
    ----------
    data, starts, ends, n_slots
        Cells, as of `cut`.
    order
        The slots of those that are written.
    labels
        Numbers from 0, shape (n,).
    digits, decimals
        Probabilities as digits / 10^decimals, from 0 to 1; final zeros are left out.
    outlier, change
        0 or 1.
    out
        Where they are written; it has room for the cells, a byte more for each, and 40 a line.

    Returns
    -------
    int
        Bytes written.
    """
    n: cython.Py_ssize_t = len(labels)
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    left: cython.Py_ssize_t
    unit: cython.Py_ssize_t
    k: cython.int
    with cython.nogil:
        for i in range(n):
            for j in range(len(order)):
                slot = i * n_slots + order[j]
                for m in range(starts[slot], ends[slot]):
                    out[at] = data[m]
                    at += 1
                out[at] = 44
                at += 1
            left = labels[i]
            unit = 1
            while left // unit >= 10:
                unit *= 10
            while unit > 0:
                out[at] = 48 + left // unit % 10
                unit //= 10
                at += 1
            out[at] = 44
            at += 1
            left = digits[i]
            unit = 1
            k = decimals[i]
            while k > 0:
                unit *= 10
                k -= 1
            out[at] = 48 + left // unit
            at += 1
            left %= unit
            if left > 0:
                out[at] = 46
                at += 1
                while left > 0:
                    unit //= 10
                    out[at] = 48 + left // unit
                    left %= unit
                    at += 1
            out[at] = 44
            out[at + 1] = 48 + outlier[i]
            out[at + 2] = 44
            out[at + 3] = 48 + change[i]
            out[at + 4] = 10
            at += 5
    return at
