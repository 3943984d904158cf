"""What the page takes as a batch, and what it keeps while Gradio deletes uploads."""

import os
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import dashboard.batch.uploads as batch_uploads
from dashboard.batch.uploads import MAX_BYTES, MAX_PICTURES, keep_uploads
from dashboard.components.uploads import SESSION_FOLDER_PREFIX
from fer_models.errors import FerError


def sent(folder: Path, name: str, content: bytes = b"") -> dict[str, Any]:
    """An upload of that name, as Gradio puts it into its folder."""
    path = folder / f"upload{len(list(folder.iterdir()))}" / name
    path.parent.mkdir()
    path.write_bytes(content)
    return {"path": str(path), "orig_name": name}


def picture(side: int = 16) -> bytes:
    return cv2.imencode(".png", np.zeros((side, side, 3), np.uint8))[1].tobytes()


def zipped(folder: Path, count: int) -> dict[str, Any]:
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.png", picture(18 + number))
    return sent(folder, "my.zip", (folder / "made.zip").read_bytes())


def test_pictures_keep_their_names_and_outlive_the_uploads_until_they_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for no_links in (False, True):
        if no_links:  # a file system without second names of a file
            monkeypatch.setattr("dashboard.batch.uploads.os.link", _refuse)
        payload = [sent(tmp_path, "b.png", picture(18)), sent(tmp_path, "a.png", picture(19))]
        before = set(tmp_path.iterdir())
        kept = keep_uploads(payload, tmp_path)
        for upload in payload:
            Path(upload["path"]).unlink()
        with kept.opened() as pictures:
            assert sorted(file.name for file in pictures.files) == ["a.png", "b.png"]
        (folder,) = set(tmp_path.iterdir()) - before
        assert folder.name.startswith(SESSION_FOLDER_PREFIX), "or the sweep of old uploads deletes it"
        assert len(kept.read("a.png").pixels) == 19 and len(kept.read("b.png").pixels) == 18
        with pytest.raises(FerError, match="c.png"):
            kept.read("c.png")
        del kept, pictures
        assert set(tmp_path.iterdir()) == before


def _refuse(*_: object) -> None:
    raise OSError("no links here")


def test_a_zip_is_its_pictures(tmp_path: Path) -> None:
    kept = keep_uploads([zipped(tmp_path, 3)], tmp_path)
    with kept.opened() as pictures:
        assert [file.name for file in pictures.files] == ["0.png", "1.png", "2.png"]
    assert len(kept.read("1.png").pixels) == 19


def test_what_the_page_does_not_take_is_refused_with_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(payload: list[dict[str, Any]], message: str) -> None:
        before = set(tmp_path.iterdir())
        with pytest.raises(FerError, match=message):
            keep_uploads(payload, tmp_path)
        assert set(tmp_path.iterdir()) == before

    refused([], "Choose")
    refused([{"path": "x"}] * (MAX_PICTURES + 1), rf"{MAX_PICTURES + 1}.*{MAX_PICTURES}")
    large = sent(tmp_path, "large.png")
    os.truncate(large["path"], MAX_BYTES + 10**6)  # sparse
    refused([large], rf"{MAX_BYTES // 10**6 + 1} MB.*{MAX_BYTES // 10**6} MB")
    refused([zipped(tmp_path, 1), sent(tmp_path, "a.png")], "one zip")
    monkeypatch.setattr(batch_uploads, "MAX_PICTURES", 2)
    refused([zipped(tmp_path, 3)], "3 pictures.* 2 ")
    refused([{"path": __file__, "orig_name": "a.png"}], "No picture")
