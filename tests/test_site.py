"""The pages of the documentation as a site: all are built, lead somewhere, and need nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow  # `make site` builds it in the continuous check
def test_the_site_is_complete_and_needs_no_network(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    assert {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} < pages
    assert {"index.html", "cli.html", "cards.html", "benchmarks.html", "api/groups.html"} < pages
    listed = (tmp_path / "index.html").read_text(encoding="utf-8")
    for page in pages - {"404.html"}:
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert f'href="{page}' in listed or page == "index.html", f"{page} is in no list"
        fetched = re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]*)', text)
        assert not fetched, f"{page} fetches {fetched}"
