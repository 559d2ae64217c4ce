"""Files of the household: private, whole, and in a folder that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters import private_files
from agent.compose.exporting import Export, save
from agent.domain.errors import BadRequest


def test_evidence_is_not_written_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "typo" / "evidence.json"
    with pytest.raises(BadRequest, match=f"there is no folder {path.parent}; make it, or name another file"):
        save(path, Export("{}", "the journal"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for content in (b"old", b"new"):
        private_files.write(path, content)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
