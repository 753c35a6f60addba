"""`python -m docs.site`: its errors are said in one line."""

import sys

import pytest

from docs.site.__main__ import main


def test_a_missing_library_is_named(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "docs.site.book", raising=False)
    monkeypatch.setitem(sys.modules, "mkdocs", None)
    monkeypatch.setitem(sys.modules, "mkdocs.exceptions", None)
    with pytest.raises(SystemExit) as end:
        main(["--out", "nowhere"])
    assert end.value.code == 1
    assert 'pip install -e ".[docs]"' in capsys.readouterr().err


def test_what_no_earlier_build_made_is_kept(tmp_path, monkeypatch, capsys):
    book = pytest.importorskip("docs.site.book", reason='the site needs pip install -e ".[docs]"')
    monkeypatch.setattr(book, "everything", lambda: {"index.md": "# Nothing"})
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "mine.txt").touch()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path)])
    assert "expected a folder that is empty" in capsys.readouterr().err
    assert (tmp_path / "html" / "mine.txt").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch, capsys):
    book = pytest.importorskip("docs.site.book", reason='the site needs pip install -e ".[docs]"')
    monkeypatch.setattr(book, "everything", lambda: {"index.md": "# Nothing"})
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path / "file")])
    assert end.value.code == 1
    assert "file" in capsys.readouterr().err
