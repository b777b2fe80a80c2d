"""Landlock: which files a process may touch, for good (Linux 5.13 and newer; kernel.org, landlock).

What is not allowed is refused: reading outside the given folders, writing, connections, and on
newer kernels signals and abstract sockets that leave the process's own domain.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from arena.isolation.libc import libc

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_EXECUTE, _REFER = 1 << 0, 1 << 13
_READS = _EXECUTE | _READ_FILE | _READ_DIR
_WRITES_OF_VERSION = {1: (1 << 13) - 1 & ~_READS, 2: _REFER, 3: 1 << 14, 5: 1 << 15}
_FILES_ONLY = _EXECUTE | 1 << 1 | _READ_FILE | 1 << 14 | 1 << 15
_NETWORK, _SCOPES = 0b11, 0b11


def version() -> int:
    """Return the version of Landlock that the kernel has, 0 where it has none."""
    if platform.system() != "Linux":
        return 0
    return max(0, int(libc().syscall(_CREATE, None, 0, _VERSION_FLAG)))


def reading(readable: Iterable[Path], listable: Iterable[Path], movable: Path) -> int:
    """Make a ruleset of what may be read, and by which no connection may be made.

    Args:
        readable: files, and folders with all below them, that may be read.
        listable: folders whose names may be listed, with all below them.
        movable: a folder in which files may be moved, as far as they may be written.

    Returns:
        Its descriptor.

    Raises:
        OSError: the kernel has no Landlock.
    """
    have = version()
    # Moving is refused by every ruleset that does not speak of it.
    moving = _REFER if have >= 2 else 0
    fd = _ruleset(_READS | moving, _NETWORK if have >= 4 else 0, _SCOPES if have >= 6 else 0)
    for path in listable:
        _allow(fd, path, _READ_DIR)
    for path in readable:
        _allow(fd, path, _READ_FILE | _READ_DIR)
    _allow(fd, movable, _READ_FILE | _READ_DIR | moving)
    return fd


def writing(writable: Iterable[Path]) -> int:
    """Make a ruleset of what may be written, made and removed; see `reading`."""
    have = version()
    rights = sum(more for since, more in _WRITES_OF_VERSION.items() if have >= since)
    fd = _ruleset(rights)
    for path in writable:
        _allow(fd, path, rights)
    return fd


def restrict(fd: int) -> None:
    """Hold this process to a ruleset for good; it must have set ``no_new_privs``.

    Raises:
        OSError: the kernel refuses.
    """
    if libc().syscall(_RESTRICT, fd, 0):
        raise OSError(ctypes.get_errno(), "the kernel refuses to restrict this process")


def _ruleset(rights: int, network: int = 0, scopes: int = 0) -> int:
    attributes = struct.pack("QQQ", rights, network, scopes)[: _size(version())]
    fd = int(libc().syscall(_CREATE, attributes, len(attributes), 0))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses a Landlock ruleset")
    return fd


def _allow(ruleset: int, path: Path, rights: int) -> None:
    # What is not there needs no rule.
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                rights &= _FILES_ONLY
            rule = struct.pack("=Qi", rights, file)
            if rights and libc().syscall(_ADD, ruleset, _PATH_BENEATH, rule, 0):
                raise OSError(ctypes.get_errno(), f"Landlock refuses a rule for {path}")
        finally:
            os.close(file)


def _size(have: int) -> int:
    if have < 4:
        return 8
    return 16 if have < 6 else 24
