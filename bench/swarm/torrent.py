"""Torrents of version 1, which every client reads, made without any library."""

import hashlib


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    pairs = sorted((key.encode(), part) for key, part in value.items())
    return b"d" + b"".join(encode(key) + encode(part) for key, part in pairs) + b"e"


def piece_size(size):
    return 1 << 20 if size >= 512 << 20 else 256 << 10


def pieces(paths, length):
    """The SHA-1 of each piece of the files laid end to end."""
    found, held = [], b""
    for path in paths:
        with path.open("rb") as file:
            while part := file.read(length - len(held)):
                held += part
                if len(held) == length:
                    found.append(hashlib.sha1(held).digest())
                    held = b""
    return b"".join(found + ([hashlib.sha1(held).digest()] if held else []))


def info(payload):
    length = piece_size(payload.size)
    made = {"name": payload.name, "piece length": length,
            "pieces": pieces([payload.source / part for part in payload.parts], length)}
    if payload.is_folder:
        made["files"] = [
            {"length": (payload.source / part).stat().st_size, "path": part.split("/")[1:]}
            for part in payload.parts
        ]
    else:
        made["length"] = payload.size
    return encode(made)


def torrent(info_bytes, announce):
    """`info_bytes` is long to make and stays the same; the tracker's address is added last."""
    return b"d" + encode("announce") + encode(announce) + encode("info") + info_bytes + b"e"
