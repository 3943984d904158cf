"""Folders and zips of pictures: what is taken, how it is called, and that no zip can do harm."""

import os
import stat
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_models.errors import BatchError, ImageError
from fer_models.formatting import printable
from fer_models.media.sources import PictureFile, ZipLimits, list_files, open_pictures


def png(width: int = 20, level: int = 7) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, 20), (level, level, level)).save(out, "PNG")
    return out.getvalue()


def names(path: Path, limits: ZipLimits | None = None) -> list[str]:
    with open_pictures(path, limits) as pictures:
        return [file.name for file in pictures.files]


def reasons(path: Path, limits: ZipLimits | None = None) -> dict[str, str]:
    """Why files cannot be read, by name; those that can are absent."""
    found = {}
    with open_pictures(path, limits) as pictures:
        for file in pictures.files:
            try:
                file.read()
            except ImageError as error:
                found[file.name] = str(error)
    return found


def pack(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_folder_is_searched_to_its_depth_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.JPG", "a/b/c.webp", "notes.txt", ".hidden.png", ".git/x.png", "phone.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture" if name == "notes.txt" else png())
    with open_pictures(tmp_path) as pictures:
        assert [file.name for file in pictures.files] == ["a/b/c.webp", "a/z.JPG", "b.png", "phone.heic"]
        assert pictures.left_out == ("notes.txt",)
        assert pictures.files[2].read().pixels.shape == (20, 20, 3)


def test_a_picture_needs_no_suffix_of_one(tmp_path: Path) -> None:
    contents = {"scan": png(30), "photo.bin": png(40), "a.txt": b"no", "b": b"", "c.pdf": b"%PDF-1.4"}
    path = pack(tmp_path / "pictures.zip", contents)
    root = tmp_path / "root"
    root.mkdir()
    for name, content in contents.items():
        (root / name).write_bytes(content)
    (root / "gone").symlink_to(root / "missing")
    for source, others in ((root, ("a.txt", "b", "c.pdf", "gone")), (path, ("a.txt", "b", "c.pdf"))):
        with open_pictures(source) as pictures:
            assert [(file.name, file.read().pixels.shape[1]) for file in pictures.files] == [
                ("photo.bin", 40),
                ("scan", 30),
            ]
            assert pictures.left_out == others


def test_links_do_not_leave_the_folder(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "real.png").write_bytes(png())
    (outside / "secret.png").write_bytes(png())
    (root / "inside.png").symlink_to(root / "real.png")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "nowhere.png").symlink_to(root / "missing.png")
    (root / "circle.png").symlink_to(root / "circle.png")
    (root / "folder").symlink_to(outside)
    assert names(root) == ["circle.png", "folder", "inside.png", "nowhere.png", "out.png", "real.png"]
    found = reasons(root)
    assert set(found) == {"circle.png", "folder", "nowhere.png", "out.png"}
    assert "leads out of the folder" in found["out.png"] and "links to folders" in found["folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "is not a file" in reasons(tmp_path)["pipe.png"]


def test_a_file_that_changes_gets_another_stamp(tmp_path: Path) -> None:
    def stamp() -> str:
        with open_pictures(tmp_path) as pictures:
            return pictures.files[0].stamp

    (tmp_path / "a.png").write_bytes(png(20))
    before = stamp()
    assert stamp() == before
    (tmp_path / "a.png").write_bytes(png(300))
    assert stamp() != before


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë 1.png", "Zoë 1.png"),
        ("a\nb.png", r"a\x0ab.png"),
        ("a\x1b[31m.png", r"a\x1b[31m.png"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\udcff.png", r"a\udcff.png"),
        (r"a\x0ab.png", r"a\\x0ab.png"),
    ],
)
def test_names_are_printable(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(), st.text())
def test_different_names_stay_different_and_printable(first: str, second: str) -> None:
    assert (printable(first) == printable(second)) == (first == second)
    assert all(letter.isprintable() or letter.isspace() or ord(letter) > 127 for letter in printable(first))
    assert "\n" not in printable(first) and "\r" not in printable(first)


def test_given_files_get_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(png())
    named = [(name, tmp_path / "x") for name in ("b.png", "a.png", "b.png", "b.png (2)", "b.png")]
    shown = [file.name for file in list_files(named).files]
    assert shown == ["b.png", "a.png", "b.png (2)", "b.png (2) (2)", "b.png (3)"]


def test_messages_do_not_tell_where_given_files_lie(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"no picture")
    for place in ("secret", "gone"):
        (file,) = list_files([("a.png", tmp_path / place)]).files
        with pytest.raises(ImageError, match="The picture") as caught:
            file.read()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "empty folder", "no picture", "no zip", "cut zip", "empty zip"])
def test_what_holds_no_picture_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "source"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "no picture":
        path.mkdir()
        (path / "notes.txt").write_text("no")
    elif kind == "no zip":
        path.write_bytes(png())
    elif kind == "cut zip":
        content = pack(path, {"a.png": png()}).read_bytes()
        path.write_bytes(content[:-30])
    elif kind == "empty zip":
        pack(path, {})
    expected = {
        "missing": "no folder or zip",
        "no zip": "neither a folder nor a zip",
        "cut zip": "neither a folder nor a zip",
        "no picture": "no picture in the folder source .* has 1 other files: notes.txt",
    }.get(kind, "no picture in the")
    with pytest.raises(BatchError, match=expected):
        names(path)


def test_a_zip_is_read_in_place(tmp_path: Path) -> None:
    entries = {"p/b.png": png(30), "p/": b"", "p/a.png": png(40), "__MACOSX/p/._a.png": b"x", "readme.md": b"x"}
    path = pack(tmp_path / "pictures.zip", entries)
    with open_pictures(path) as pictures:
        assert [file.name for file in pictures.files] == ["p/a.png", "p/b.png"]
        assert [file.read().pixels.shape[1] for file in pictures.files] == [40, 30]
        assert pictures.left_out == ("readme.md",)
    assert list(tmp_path.iterdir()) == [path]


def test_names_in_utf8_are_read_as_such_also_where_the_zip_does_not_say_so(tmp_path: Path) -> None:
    """As a Mac's Finder writes them; names in the old code page stay what they are."""
    path = pack(tmp_path / "finder.zip", {"Bjørn.png": png(), "old-\u00e9.png": png()})
    content = bytearray(path.read_bytes())
    old = "old-\u00e9.png".encode()
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(header, at + 1)) >= 0:
            content[at + flags + 1] &= ~0x08
    content = content.replace(old, b"old-\x82\x2e.png")  # as long in bytes; 0x82 is the code page's e acute
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] != "Bjørn.png"
    assert names(path) == ["Bjørn.png", "old-\u00e9..png"]


def write_unflagged(path: Path, names: dict[bytes, bytes], extra: bytes = b"") -> Path:
    """A zip as Windows and old programs write it: names in bytes of some code page, which it does not say."""
    placeholders = {bytes([65 + index]) * len(raw): raw for index, raw in enumerate(names)}
    with zipfile.ZipFile(path, "w") as archive:
        for (placeholder, _), content in zip(placeholders.items(), names.values(), strict=True):
            entry = zipfile.ZipInfo(placeholder.decode())
            entry.extra = extra
            archive.writestr(entry, content)
    content = path.read_bytes()
    for placeholder, raw in placeholders.items():
        content = content.replace(placeholder, raw)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("page", "given"),
    [
        ("cp932", ["表.jpg"]),  # its second byte is 5C, a backslash
        ("cp932", ["表情/表.jpg", "笑顔/ソフト 01.jpg", "plain.png"]),
        ("cp932", ["A組.jpg"]),
        ("gbk", ["照片.jpg"]),
        ("gbk", ["表情/高兴.jpg", "张三.jpg"]),
        ("cp950", ["許功蓋.jpg"]),  # all three end in 5C
        ("cp950", ["生氣/1.jpg", "驚訝/2.jpg"]),
        ("cp437", ["Müller.jpg"]),
        ("cp437", ["Köln.jpg", "Größe/Ägypten.jpg", "café.jpg"]),
        ("cp850", ["Søren.jpg", "João.jpg"]),
        ("utf-8", ["表.jpg", "Müller.jpg"]),
    ],
)
def test_names_of_a_zip_are_read_in_the_code_page_that_fits_all(tmp_path: Path, page: str, given: list[str]) -> None:
    contents = {name.encode(page): png(20 + index) for index, name in enumerate(given)}
    path = write_unflagged(tmp_path / "pictures.zip", contents)
    with open_pictures(path) as pictures:
        assert {file.name: file.read().pixels.shape[1] for file in pictures.files} == {
            name: 20 + index for index, name in enumerate(given)
        }
        assert pictures.left_out == ()


def test_backslashes_between_names_of_a_code_page_are_separators(tmp_path: Path) -> None:
    path = write_unflagged(tmp_path / "windows.zip", {"表\\表.jpg".encode("cp932"): png()})
    assert names(path) == ["表/表.jpg"]


@pytest.mark.parametrize("fits", [True, False])
def test_a_name_in_utf8_beside_the_entrys_own_is_taken_if_it_belongs_to_it(tmp_path: Path, fits: bool) -> None:
    """Info-ZIP's Unicode Path Extra Field (APPNOTE 4.6.9)."""
    raw, beside = "Müller.jpg".encode("cp437"), "ユニ.jpg".encode()
    value = struct.pack("<BL", 1, zlib.crc32(raw) ^ (not fits)) + beside
    extra = struct.pack("<HH", 0x7075, len(value)) + value
    path = write_unflagged(tmp_path / "beside.zip", {raw: png()}, extra)
    assert names(path) == ["ユニ.jpg" if fits else "Müller.jpg"]
    assert reasons(path) == {}


def test_an_entry_without_a_name_is_left_out(tmp_path: Path) -> None:
    """Python's own reader fails to tell whether it is a folder."""
    path = pack(tmp_path / "nameless.zip", {"abc": b"x", "good.png": png(), "./": b""})
    content = path.read_bytes()
    for header, length in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):  # where each header has its name's length
        at = content.index(header)
        content = content[: at + length] + b"\0\0\3\0" + content[at + length + 4 :]  # now it is an extra field
    path.write_bytes(content)
    assert names(path) == ["good.png"]


def test_names_that_lead_out_of_the_zip_are_not_read(tmp_path: Path) -> None:
    bad = ["/etc/a.png", "../b.png", "x/../../c.png", "C:\\d.png", "..\\e.png"]
    path = pack(tmp_path / "slip.zip", {name: png() for name in [*bad, "good.png", "./also.png"]})
    found = reasons(path)
    assert len(found) == len(bad) and all("leads out" in reason for reason in found.values())
    assert {"good.png", "also.png"} == set(names(path)) - set(found)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_not_read(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("passwd.png")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
        archive.writestr("good.png", png())
    assert list(reasons(path)) == ["passwd.png"]
    assert "a link or a device" in reasons(path)["passwd.png"]


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    zeros = bytes(70 * 2**20)
    bomb = pack(tmp_path / "bomb.zip", {"a.bmp": zeros}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(BatchError, match="grow more than 100 times"):
        names(bomb)
    several = pack(tmp_path / "several.zip", {f"{i}.png": png(500 + i) for i in range(5)})
    with pytest.raises(BatchError, match="more than 4 files"):
        names(several, ZipLimits(entries=4))
    assert len(names(several, ZipLimits(entries=5))) == 5
    with pytest.raises(BatchError, match="Split it"):
        names(several, ZipLimits(unpacked=sum(len(png(500 + i)) for i in range(5)) - 1))
    assert "the limit for one picture" in reasons(several, ZipLimits(picture=100))["0.png"]


def test_a_size_that_lies_does_not_unpack_more(tmp_path: Path) -> None:
    path = pack(tmp_path / "lie.zip", {"a.bmp": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace((10**6).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    assert "damaged" in reasons(path)["a.bmp"]


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    path = pack(tmp_path / "secret.zip", {"a.png": png()})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(BatchError, match="encrypted"):
        names(path)


def test_one_damaged_entry_does_not_lose_the_others(tmp_path: Path) -> None:
    path = pack(tmp_path / "damaged.zip", {"a.png": png(30), "b.png": png(40)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PNG") + 20] ^= 255
    path.write_bytes(content)
    assert list(reasons(path)) == ["a.png"]


def test_a_name_that_stands_twice_in_a_zip_gets_a_number(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.png", png(30))
        archive.writestr("a.png", png(40))
    with open_pictures(path) as pictures:
        assert [(file.name, file.read().pixels.shape[1]) for file in pictures.files] == [
            ("a.png", 30),
            ("a.png (2)", 40),
        ]


def test_reading_from_threads_is_safe(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = pack(tmp_path / "many.zip", {f"{i:02}.png": png(20 + i) for i in range(40)})

    def width(file: PictureFile) -> int:
        return int(file.read().pixels.shape[1])

    with open_pictures(path) as pictures, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(width, pictures.files)) == [20 + i for i in range(40)]
