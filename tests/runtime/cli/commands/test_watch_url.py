"""`outrider watch http://...` from end to end, with a password that nobody may see."""

from __future__ import annotations

import pytest

pytest.importorskip("PIL.Image")
pytest.importorskip("av")

from ...inputs.streams.live.serving import MjpegServer
from ..outcomes import lines_of


@pytest.fixture
def server():
    made = MjpegServer(password="geheim")
    yield made
    made.close()


def test_a_password_stands_in_no_line_log_or_page(outrider, calibrated, server, tmp_path):
    options = ("--json", "--log", "events.jsonl", "--limit", "5")
    result = outrider("watch", calibrated, server.url("me:geheim@"), *options)
    lines = lines_of(result)
    assert result.code == 1
    assert {line["status"] for line in lines} == {"fault"}, "its pictures are of one colour"
    assert lines[0]["frame"] == f"http://***@127.0.0.1:{server.port}/video.mjpg[0]"
    assert outrider("report", "events.jsonl").code == 0
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".outrider"]
    assert len(kept) >= 2
    assert not [one for one in (*kept, result.out.encode(), result.err.encode()) if b"geheim" in one]
    assert f"http://***@127.0.0.1:{server.port}" in (tmp_path / "report.html").read_text("utf-8")
    server.password = server.password[::-1]
    wrong = outrider("watch", calibrated, server.url("me:geheim@"), "--debug")
    assert wrong.code == 2
    assert "401" in wrong.err
    assert "geheim" not in wrong.err + wrong.out
