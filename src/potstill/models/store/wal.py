"""Integrity of SQLite's write-ahead log beside the store."""

import struct
from pathlib import Path


def wal_is_intact(wal: Path) -> bool:
    """Whether every frame of a write-ahead log matches its checksum, except a last one that was being written.

    SQLite itself stops silently at the first frame that does not match, and ignores the frames after it as outdated
    (sqlite.org/fileformat2.html#the_write_ahead_log). True where there is no log.
    """
    if not wal.exists():
        return True
    with wal.open("rb") as file:
        header = file.read(32)
        if len(header) < 32:
            return True
        byte_order = "<" if header[3] == 0x82 else ">"
        (page_size,) = struct.unpack(">I", header[8:12])
        sums = _checksum(header[:24], (0, 0), byte_order)
        if sums != struct.unpack(">II", header[24:]):
            return False
        while len(frame := file.read(24 + page_size)) == 24 + page_size and frame[8:16] == header[16:24]:
            sums = _checksum(frame[:8] + frame[24:], sums, byte_order)
            if sums != struct.unpack(">II", frame[16:24]):
                next_header = file.read(24)
                return len(next_header) < 24 or next_header[8:16] != header[16:24]
    return True


def _checksum(data: bytes, sums: tuple[int, int], byte_order: str) -> tuple[int, int]:
    """SQLite's running checksum: two 32-bit sums over ``data`` (a multiple of 8 bytes), continued from ``sums``."""
    first, second = sums
    integers = struct.unpack(f"{byte_order}{len(data) // 4}I", data)
    for i in range(0, len(integers), 2):
        first = (first + integers[i] + second) & 0xFFFFFFFF
        second = (second + integers[i + 1] + first) & 0xFFFFFFFF
    return first, second
