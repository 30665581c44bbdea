"""Archives hold what was asked for, in the form that the service accepts."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from python_executor_client.archive import make_archive


def contents(data: bytes) -> dict[str, bytes | None]:
    """Names in their order with their contents, None for a directory."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            found[member.name] = None if file is None else file.read()
        return found


def headers(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return tar.getmembers()


def test_mapping_is_packed_in_its_order_with_text_as_utf_8() -> None:
    archive = make_archive({"z.py": "print('é')", "data/raw.bin": b"\x00\xff"})
    assert list(contents(archive.data).items()) == [("z.py", "print('é')".encode()), ("data/raw.bin", b"\x00\xff")]
    assert archive.entrypoint is None


@pytest.mark.parametrize("name", ["é/日本.py", "directory/" * 30 + "main.py"])
def test_names_beyond_the_plain_header_survive(name: str) -> None:
    assert contents(make_archive({name: "x"}).data) == {name: b"x"}


def test_headers_depend_on_nothing_but_the_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0o700)
    (tmp_path / "sub" / "tool.sh").write_text("#!/bin/sh\n")
    (tmp_path / "sub" / "tool.sh").chmod(0o700)
    (tmp_path / "main.py").write_text("")
    (tmp_path / "main.py").chmod(0o600)
    first = make_archive(tmp_path)
    os.utime(tmp_path / "main.py", (1, 1))
    assert make_archive(tmp_path) == first
    assert [(h.name, oct(h.mode), h.mtime, h.uid, h.gid, h.uname, h.gname) for h in headers(first.data)] == [
        ("main.py", "0o644", 0, 0, 0, "", ""),
        ("sub", "0o755", 0, 0, 0, "", ""),
        ("sub/tool.sh", "0o755", 0, 0, 0, "", ""),
    ]


@pytest.mark.parametrize("as_type", [str, Path])
def test_single_file_is_packed_under_its_bare_name_and_is_the_entrypoint(tmp_path: Path, as_type: Any) -> None:
    script = tmp_path / "job.py"
    script.write_bytes(b"print(1)\r\n")
    archive = make_archive(as_type(script))
    assert contents(archive.data) == {"job.py": b"print(1)\r\n"}
    assert archive.entrypoint == "job.py"


def test_directory_is_packed_files_first_and_without_caches_and_history(tmp_path: Path) -> None:
    for name in ["run.py", "a/deep/x.py", "a/y.py", "b/.hidden", "__pycache__/run.pyc", "a/.git/config", "a.txt"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "empty").mkdir()
    archive = make_archive(str(tmp_path) + "/")
    expected = ["a.txt", "run.py", "a", "a/y.py", "a/deep", "a/deep/x.py", "b", "b/.hidden", "empty"]
    assert list(contents(archive.data)) == expected
    assert archive.entrypoint is None


def test_pipes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    os.mkfifo(tmp_path / "pipe")
    assert list(contents(make_archive(tmp_path).data)) == ["main.py"]


def test_link_to_a_file_inside_is_packed_as_its_content(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "main.py").write_text("print(1)")
    (root / "sub" / "again.py").symlink_to("../main.py")
    through_link = tmp_path / "alias"
    through_link.symlink_to(root)
    for path in (root, through_link):
        archive = make_archive(path)
        assert contents(archive.data) == {"main.py": b"print(1)", "sub": None, "sub/again.py": b"print(1)"}
        assert not any(header.issym() for header in headers(archive.data))


@pytest.mark.parametrize("target", ["../secret", "../root-2/file", "nowhere", "bad", "sub", "/dev/null"])
def test_link_to_anything_else_is_refused_by_name(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "file").write_text("x")
    (tmp_path / "secret").write_text("x")
    (root / "bad").symlink_to(target)
    with pytest.raises(ValueError, match=r'symbolic link ".*/bad" does not lead to a file inside'):
        make_archive(root)


@pytest.mark.parametrize("path", ["missing.py", Path("missing/dir"), ""])
def test_missing_path_is_named(path: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"Cannot send files, no such file or directory: ") as caught:
        make_archive(path)
    assert caught.value.filename == str(path)


def test_path_to_neither_file_nor_directory_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="neither a file nor a directory"):
        make_archive(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["", "main.py\0.txt"])
def test_name_that_a_tar_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        make_archive({name: "x"})


def test_other_types_are_refused() -> None:
    content: Any = {"main.py": 1}
    with pytest.raises(TypeError, match=r'content of "main\.py" is int'):
        make_archive(content)
    files: Any = ["main.py"]
    with pytest.raises(TypeError, match="expected a dict or a path, got list"):
        make_archive(files)
