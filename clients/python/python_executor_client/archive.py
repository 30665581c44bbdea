"""Make the tar archives that executions are submitted as.

Archives are uncompressed and depend on names, contents and executable bits alone: time stamps and owners are zero, so
equal files give equal bytes.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Iterable, Iterator, Mapping, NamedTuple, Optional, Union

SKIPPED_NAMES = frozenset({"__pycache__", ".git"})
"""What is left out of a directory, at every level: bytecode of another interpreter, and history."""

Files = Union[Mapping[str, Union[str, bytes]], "os.PathLike[str]", str]
"""What an archive can be made from: contents by name, or the path of a file or directory."""


class Archive(NamedTuple):
    """A tar and what is known about it.

    Attributes:
        data: The bytes of the tar.
        entrypoint: Name of its one file if it was made from the path of a file, else None.
    """

    data: bytes
    entrypoint: Optional[str]


class _Entry(NamedTuple):
    name: str
    content: Optional[bytes]  # None for a directory
    executable: bool = False


def make_archive(files: Files) -> Archive:
    """Pack files into a tar.

    A mapping is packed in its own order, text as UTF-8. A file is packed under its bare name. A directory is packed
    with everything below it: at each level first the files by name, then the sub-directories by name, so that a script
    at the top comes before those further down. Left out are ``__pycache__``, ``.git``, sockets, pipes and devices. A
    symbolic link to a file inside the directory is packed as that file's content.

    Args:
        files: Contents by name (``str`` or ``bytes``), or the path of a file or directory. The path itself may be a
            symbolic link.

    Returns:
        The archive.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If a symbolic link in the directory leads out of it or to something other than a file, if a name is
            empty or holds a NUL, or if the path is neither a file nor a directory.
        TypeError: If ``files`` or a content has another type.

    Example:
        >>> make_archive({"main.py": "print('hi')"}).entrypoint is None
        True
    """
    if isinstance(files, Mapping):
        return Archive(_pack(_mapping_entries(files)), None)
    if not isinstance(files, (str, os.PathLike)):
        raise TypeError(f"Cannot send files: expected a dict or a path, got {type(files).__name__}")
    # Looked up as given: Path("") would mean the current directory.
    name = os.fspath(files)
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "Cannot send files, no such file or directory", name) from None
    path = Path(name)
    if stat.S_ISDIR(mode):
        return Archive(_pack(_directory_entries(path)), None)
    if stat.S_ISREG(mode):
        return Archive(_pack([_file_entry(path.name, path)]), path.name)
    raise ValueError(f'Cannot send files: "{name}" is neither a file nor a directory')


def _pack(entries: Iterable[_Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            header = tarfile.TarInfo(entry.name)  # Time stamp and owner are zero by default.
            if entry.content is None:
                header.type = tarfile.DIRTYPE
                header.mode = 0o755
                tar.addfile(header)
            else:
                header.mode = 0o755 if entry.executable else 0o644
                header.size = len(entry.content)
                tar.addfile(header, io.BytesIO(entry.content))
    return buffer.getvalue()


def _mapping_entries(files: Mapping[str, Union[str, bytes]]) -> Iterator[_Entry]:
    for name, content in files.items():
        # tarfile would cut the name at a NUL and send another file than the one asked for.
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"Cannot send files: {name!r} is not a file name")
        if isinstance(content, str):
            yield _Entry(name, content.encode())
        elif isinstance(content, bytes):
            yield _Entry(name, content)
        else:
            raise TypeError(f'Cannot send files: content of "{name}" is {type(content).__name__}, not str or bytes')


def _directory_entries(root: Path) -> Iterator[_Entry]:
    """Walk ``root`` without recursion, so that no depth is too much for the interpreter's stack."""
    waiting = [(root, "")]
    while waiting:
        directory, prefix = waiting.pop()
        if prefix:
            yield _Entry(prefix.rstrip("/"), None)
        children = []
        for path in sorted(directory.iterdir(), key=lambda child: child.name):
            if path.name in SKIPPED_NAMES:
                continue
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                children.append((path, f"{prefix}{path.name}/"))
            elif stat.S_ISREG(mode):
                yield _file_entry(prefix + path.name, path)
            elif stat.S_ISLNK(mode):
                yield _file_entry(prefix + path.name, _link_target(path, root))
        waiting.extend(reversed(children))


def _link_target(link: Path, root: Path) -> Path:
    target = os.path.realpath(link)
    inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - a Path has no trailing separator
    if not target.startswith(inside) or not os.path.isfile(target):  # noqa: PTH113 - False for a loop of links
        raise ValueError(f'Cannot send files: symbolic link "{link}" does not lead to a file inside "{root}"')
    return Path(target)


def _file_entry(name: str, path: Path) -> _Entry:
    return _Entry(name, path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
