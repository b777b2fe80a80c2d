"""Runs ``arena`` as on a machine whose kernel knows neither Landlock nor system call filters."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LANDLOCK_CREATE_RULESET = 444
_PRCTL = {"x86_64": 157, "aarch64": 167}


def forget_landlock_and_seccomp() -> None:
    """Have the kernel answer this process and its children as an older one would."""

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    load, jump, give, error, allow = 0x20, 0x15, 0x06, 0x00050000, 0x7FFF0000
    code = b"".join(
        [
            step(load, 0),
            step(jump, _LANDLOCK_CREATE_RULESET, 0, 1),
            step(give, error | errno.ENOSYS),
            step(jump, _PRCTL[platform.machine()], 0, 3),
            step(load, 16),
            step(jump, _PR_SET_SECCOMP, 0, 1),
            step(give, error | errno.EINVAL),
            step(give, allow),
        ]
    )
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, _address(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if done or libc.prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter can be set")


_kept: list[ctypes.Array[ctypes.c_char]] = []


def _address(code: bytes) -> int:
    _kept.append(ctypes.create_string_buffer(code, len(code)))
    return ctypes.addressof(_kept[-1])


if __name__ == "__main__":
    forget_landlock_and_seccomp()
    os.execv(sys.executable, [sys.executable, "-m", "arena.cli", *sys.argv[1:]])
