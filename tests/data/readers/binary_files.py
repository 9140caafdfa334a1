"""Writers of small files in the layout of binary formats, for tests: RADOLAN, NIMROD and GRIB of editions 1 and 2."""

import struct

import numpy as np


def radolan(
    codes: np.ndarray,
    product: str = "RY",
    stamp: str = "010005",
    month: str = "0120",
    *,
    precision: str = "E-02",
    interval: str = "   5",
    more: str = "",
    version: int = 3,
) -> bytes:
    """A composite of `codes (H, W)`, the northern row first, of one or two bytes a pixel."""
    height, width = codes.shape
    stored = codes[::-1].astype("<u2" if codes.dtype.itemsize > 1 else "u1").tobytes()
    head = (
        f"{product}{stamp}10000{month}BY%7dVS{version:2d}SW   2.29.1PR {precision}INT{interval}GP{height:4d}x{width:4d}"
    )
    head += f"{more}MS 11<boo,ros>   \x03"
    return (head % (len(head % 0) + len(stored))).encode() + stored


def nimrod(
    stored: np.ndarray,
    *,
    title: str = "Rainfall rate Composite",
    units: str = "mm/h*32",
    time: tuple[int, ...] = (2020, 1, 1, 0, 5, 0),
    data_time: tuple[int, ...] | None = None,
    origin: int = 0,
    period: int = 0,
    grid: int = 0,
    missing: int = -1,
) -> bytes:
    """A field of `stored (H, W)`, int16 or float32, in the order of the file; pixels of 1 km, of which the first, whose corner is
    `origin`, lies 500 m from the axes."""
    height, width = stored.shape
    kinds = {"i": (1, 2, ">i2"), "f": (0, 4, ">f4")}
    kind, size, dtype = kinds[stored.dtype.kind]
    whole = [-32767] * 31
    whole[:6], whole[6:11], whole[11:13] = time, (data_time or time)[:5], (kind, size)
    whole[14:17], whole[17:19] = (grid, height, width), (2, 63)
    whole[23:26] = origin, missing, period
    real = [-32767.0] * 28
    top, right = 500.0 + 1000 * (height - 1), 500.0 + 1000 * (width - 1)
    real[2:6] = 500.0 if origin in (1, 3) else top, 1000.0, right if origin in (2, 3) else 500.0, 1000.0
    real[6] = float(missing)
    texts = units.encode().ljust(8)[:8] + b"UK radar".ljust(24) + title.encode().ljust(24)[:24]
    head = struct.pack(">31h28f45f56s51h", *whole, *real, *[-32767.0] * 45, texts, *[-32767] * 51)
    values = stored.astype(dtype).tobytes()
    return b"".join(struct.pack(">i", len(part)) + part + struct.pack(">i", len(part)) for part in (head, values))


def grib1(
    codes: np.ndarray,
    missing: np.ndarray,
    *,
    scan: int = 0,
    hour: int = 0,
    first: int = 0,
    last: int = 1,
    stereographic: bool = False,
) -> bytes:
    """A message of edition 1: rain in kg m-2 accumulated from `first` to `last` hours after 1 January 2020, `hour` o'clock;
    `codes (H, W)` of 8 bits, north up, with a bitmap where some are `missing`, stored in the order of the scanning mode. A
    polar stereographic grid of 5 km has its first pixel at 48 degrees north and 5 degrees east."""

    def three(number: int) -> bytes:
        return struct.pack(">I", number if number >= 0 else (1 << 23) | -number)[1:]

    height, width = codes.shape
    north, south, west, east = 50_000, 50_000 - 1000 * (height - 1), 5000, 5000 + 1000 * (width - 1)
    if scan & 64:
        codes, missing, north, south = codes[::-1], missing[::-1], south, north
    if scan & 128:
        codes, missing, west, east = codes[:, ::-1], missing[:, ::-1], east, west
    if scan & 32:
        codes, missing = codes.T, missing.T
    flags = 0x80 | (0x40 if missing.any() else 0)
    about = [3, 7, 96, 255, flags, 61, 1, 0, 0, 20, 1, 1, hour, 0, 1, first, last, 4, 0, 0, 0, 21, 0, 0, 0]
    grid = struct.pack(">3BHH", 0, 255, 0, width, height) + three(north) + three(west) + b"\x80" + three(south)
    grid += three(east) + struct.pack(">HH", 1000, 1000) + bytes([scan]) + bytes(4)
    if stereographic:
        grid = struct.pack(">3BHH", 0, 255, 5, width, height) + three(48_000) + three(5000) + b"\x08" + three(10_000)
        grid += three(5000) * 2 + bytes([0, scan]) + bytes(4)
    bits = np.packbits(~missing.ravel()).tobytes()
    bits += bytes(len(bits) % 2)
    values = codes[~missing].astype("u1").tobytes()
    pad = (len(values) + 1) % 2
    sections = [bytes(about), grid, bytes([8 * len(bits) - missing.size, 0, 0]) + bits if missing.any() else b""]
    sections.append(bytes([8 * pad, 0, 0, 0, 0, 0, 0, 8]) + values + bytes(pad))
    body = b"".join(three(3 + len(section)) + section for section in sections if section) + b"7777"
    return b"GRIB" + three(8 + len(body)) + b"\x01" + body


def signed(*numbers: int) -> bytes:
    """Numbers of four bytes with a sign, as GRIB has them."""
    return b"".join(struct.pack(">I", abs(number) | (1 << 31 if number < 0 else 0)) for number in numbers)


def grib2_grid(height: int, width: int, *, kind: int = 0, scan: int = 0, west: int = 5, reduced: bool = False) -> bytes:
    """Section 3: from 50 degrees north and `west` degrees in steps of one degree (`kind` 0), or polar stereographic (20), Lambert
    (30) and Mercator (10) whose first pixel is at 48 degrees north and 5 degrees east, in steps of 5 km."""
    head = struct.pack(">BIBBHB", 0, height * width, 0, 0, kind, 6) + b"\xff" * 15
    head += (b"\xff" * 4 if reduced else struct.pack(">I", width)) + struct.pack(">I", height)
    degree = 10**6
    if kind == 0:
        rows, columns = (50, 51 - height), (west % 360, (west + width - 1) % 360)
        rows, columns = rows[:: -1 if scan & 64 else 1], columns[:: -1 if scan & 128 else 1]
        corners = [degree * each for each in (rows[0], columns[0], rows[1], columns[1])]
        body = bytes(4) + b"\xff" * 4 + signed(*corners[:2]) + b"\x30" + signed(*corners[2:], degree, degree)
    elif kind == 10:
        body = signed(48 * degree, 5 * degree) + b"\x30" + signed(48 * degree, 50 * degree, 7 * degree)
        return _section(3, head + body + bytes([scan]) + signed(0, 5_000_000, 5_000_000))
    else:
        body = (
            signed(48 * degree, 5 * degree) + b"\x38" + signed(60 * degree, 10 * degree, 5_000_000, 5_000_000) + b"\0"
        )
    parallels = signed(50 * degree, 50 * degree, -90 * degree, 0) if kind == 30 else b""
    return _section(3, head + body + bytes([scan]) + parallels)


def grib2_product(
    *,
    parameter: tuple[int, int] = (1, 7),
    level: int = 0,
    member: int | None = None,
    statistic: int | None = None,
    hours: int = 1,
) -> bytes:
    """Section 4: category and number of a parameter, a height above ground or the surface, a member, or a statistic over the
    `hours` from 12 o'clock on 31 March 2024."""
    kind = (8 if statistic is not None else 0) if member is None else 1
    body = struct.pack(">HH5BHBB", 0, kind, *parameter, 0, 0, 96, 0, 0, 1) + signed(0)
    body += struct.pack(">BBI", 103 if level else 1, 0, level) + b"\xff" * 6
    if member is not None:
        body += bytes([3, member, 10])
    if statistic is not None:
        body += struct.pack(">H5BBI", 2024, 3, 31, 12 + hours, 0, 0, 1, 0)
        body += struct.pack(">BBBIBI", statistic, 2, 1, hours, 255, 0)
    return _section(4, body)


def grib2(codes: np.ndarray, grid: bytes, *products: bytes, minute: int = 0) -> bytes:
    """A message of edition 2: `codes` of 8 bits, as stored, for each of the products, `minute` past 12 on 31 March 2024."""
    body = _section(1, struct.pack(">HH3BH7B", 7, 0, 2, 1, 1, 2024, 3, 31, 12, minute, 0, 0, 0)) + grid
    for product in products:
        body += product + _section(5, struct.pack(">IHfhhBB", codes.size, 0, 0.0, 0, 0, 8, 0)) + _section(6, b"\xff")
        body += _section(7, codes.astype("u1").tobytes())
    return b"GRIB" + struct.pack(">HBBQ", 0, 0, 2, 20 + len(body)) + body + b"7777"


def _section(number: int, body: bytes) -> bytes:
    return struct.pack(">IB", 5 + len(body), number) + body
