"""The file of the keys that sign tokens: one a line, the first signs, all check."""

import os
import pathlib
import re
import secrets
import stat

KEY_BYTES = 32
KEY_CHARS_MIN = 43  # so many, in base64, are 32 bytes
KEY = re.compile(rb"[A-Za-z0-9_-]{43,512}")
KEYS_MAX = 8
FILE_BYTES_MAX = 8_192


class KeysUnusable(ValueError):  # noqa: N818 - what the file is, told to whoever starts the process
    """A file of keys that cannot be used: the message names it, what is wrong and the remedy."""


def load_or_make(path: pathlib.Path) -> tuple[bytes, ...]:
    """Return the keys of a file, which is made with a new one where there is none.

    :raises KeysUnusable: where it is not our own, others may read it, or a line is no key.
    """
    _make(path)
    # What is no file, and would have us wait for a writer, is not waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise KeysUnusable(f"{path} is no file of our own; remove it to have one made, or `chown` it")
        if found.st_mode & 0o077:
            raise KeysUnusable(f"others may read the keys of {path}; `chmod 600` it, and change the keys")
        lines = [line.strip() for line in file.read(FILE_BYTES_MAX).splitlines()]
    keys = tuple(line for line in lines if line)
    if not 1 <= len(keys) <= KEYS_MAX or not all(map(KEY.fullmatch, keys)):
        raise KeysUnusable(
            f"{path} has to hold 1 to {KEYS_MAX} keys, one a line, each at least {KEY_CHARS_MIN} "
            "characters of base64url; remove it to have one made"
        )
    return keys


def _make(path: pathlib.Path) -> None:
    """Make the file with one key where there is none; whole at once, as several processes may start."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secrets.token_urlsafe(KEY_BYTES)}\n")
    try:
        # Unlike a rename this fails where another process was first, and its key stands.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
