"""Streams over HTTP and TCP from servers on loopback, which break, hang and talk nonsense."""

from __future__ import annotations

import http.server
import socket
import threading

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams.live import base, remote

pytest.importorskip("PIL.Image")
av = pytest.importorskip("av")

from .rtsp_server import RtspServer  # noqa: E402
from .serving import SIDE, SOON, MjpegServer, number_of, until  # noqa: E402 (it needs Pillow)


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.01)
    servers = []

    def start(**options):
        servers.append(MjpegServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def next_of(frames, condition=lambda frame: True):
    return next(frame for frame in frames if frame is not None and condition(frame))


def test_a_slow_reader_gets_the_newest_and_knows_what_it_missed(opened, serve):
    server = serve()
    stream = opened(server.url(), patience=SOON)
    frames = iter(stream)
    first = next_of(frames)
    assert first.picture.shape == (1, SIDE, SIDE)
    assert first.picture.dtype == np.uint8
    assert first.name == f"{server.url()}[0]"
    assert until(lambda: stream.dropped >= 20)
    dropped, second = stream.dropped, next_of(frames)
    assert number_of(second) >= number_of(first) + dropped
    assert second.captured > first.captured


def test_a_connection_that_breaks_is_made_again(opened, serve):
    server = serve()
    stream = opened(server.url(), patience=SOON)
    frames = iter(stream)
    before = next_of(frames)
    server.mode = "drop"
    assert until(lambda: stream._problem)
    server.mode = "run"
    with pytest.warns(OutriderWarning, match=rf"^{server.url()} is there again after [\d.]+ s \(\S.*\)$"):
        after = next_of(frames, lambda frame: stream.reconnects)
    assert stream.reconnects == 1
    assert server.connections >= 2
    assert number_of(after) > number_of(before)


def test_a_server_that_hangs_is_left(opened, serve, monkeypatch):
    monkeypatch.setattr(remote, "_READ_SECONDS", 0.3)
    server = serve()
    stream = opened(server.url(), patience=SOON)
    next_of(stream)
    server.mode = "stall"
    assert until(lambda: stream._problem == "nothing for 0.3 s")
    server.mode = "run"
    with pytest.warns(OutriderWarning, match=r"there again after .* \(nothing for 0.3 s\)"):
        next_of(stream, lambda frame: stream.reconnects)


def test_garbage_is_a_problem_and_then_a_reason_to_connect_again(opened, serve, monkeypatch):
    monkeypatch.setattr(remote, "_BROKEN", 20)
    server = serve()
    stream = opened(server.url(), patience=SOON)
    frames = iter(stream)
    next_of(frames)
    server.mode = "garbage"
    broken = next_of(frames, lambda frame: frame.problem)
    assert broken.picture is None
    assert broken.problem.startswith(f"{broken.name}: expected a frame of a video, got ")
    assert until(lambda: stream._problem)  # and what is broken from the start on is never shown
    assert next_of(frames).problem
    assert next(frames) is None
    server.mode = "run"
    with pytest.warns(OutriderWarning, match="there again"):
        assert number_of(next_of(frames, lambda frame: stream.reconnects and not frame.problem)) > 0


def test_a_server_that_is_gone_ends_the_patience(opened, serve):
    server = serve()
    stream = opened(server.url(), patience=0.3)
    next_of(stream)
    server.close()
    with pytest.warns(OutriderWarning, match=rf"{server.url()} gave no picture for 0.3 s: \S"):
        assert list(stream)[-1] is None


def test_a_password_is_used_and_never_said(opened, serve):
    server = serve(password="geheim")
    stream = opened(server.url("me:geheim@"), patience=0.3)
    frame = next_of(stream)
    assert frame.name == f"http://***@127.0.0.1:{server.port}/video.mjpg[0]"
    assert "geheim" not in stream._thread.name + stream.name
    server.close()
    with pytest.warns(OutriderWarning, match=r"^http://\*\*\*@127.0.0.1") as told:
        list(stream)
    assert not [str(one.message) for one in told if "geheim" in str(one.message)]


def test_a_wrong_password_is_refused_without_being_said(opened, serve):
    server = serve(password="geheim")
    with pytest.raises(ValueError, match=r"^http://\*\*\*@127.0.0.1.*: expected pictures, got .*401") as refused:
        opened(server.url("me:falsch@"))
    assert "falsch" not in str(refused.value)


def test_nobody_there(opened):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ValueError, match=rf"^rtsp://127.0.0.1:{port}/1: expected pictures, got connection refused$"):
        opened(f"rtsp://127.0.0.1:{port}/1")


def test_a_server_that_never_answers(opened, monkeypatch):
    monkeypatch.setattr(remote, "_OPENING_SECONDS", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ValueError, match=r"expected pictures, got no (answer for 0.3 s|picture for 0.5 s)$"),
    ):
        opened(f"http://127.0.0.1:{server.getsockname()[1]}/1", patience=0.5)


def test_what_this_ffmpeg_does_not_speak(opened, monkeypatch):
    def unknown(*_, **__):
        raise av.error.ProtocolNotFoundError(0, "Protocol not found")

    monkeypatch.setattr(av, "open", unknown)
    with pytest.raises(ValueError, match=r"an FFmpeg inside PyAV that does not know srt://;"):
        opened("srt://127.0.0.1:9")


def test_rtsp_goes_over_tcp_and_has_its_timeouts(opened, monkeypatch):
    asked = []

    def open_(url, **options):
        asked.append((url, options))
        raise av.error.InvalidDataError(0, "Invalid data")

    monkeypatch.setattr(av, "open", open_)
    for url in ("rtsp://me:geheim@host/1", "http://host/1"):
        with pytest.raises(ValueError, match="expected pictures, got what is no video"):
            opened(url)
    (url, options), *_ = asked
    assert url == "rtsp://me:geheim@host/1"
    assert options["options"]["rtsp_transport"] == "tcp"
    assert options["timeout"] == (10.0, 5.0)
    assert "rtsp_transport" not in asked[-1][1]["options"]


@pytest.fixture
def rtsp():
    servers = []

    def start(port=0):
        servers.append(RtspServer(port))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_server_of_rtsp(opened, rtsp, monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.1)
    server = rtsp()
    place = f"127.0.0.1:{server.port}/cam"
    with pytest.raises(ValueError, match=rf"^rtsp://\*\*\*@{place}: expected pictures, got .*401"):
        opened(f"rtsp://me:falsch@{place}")
    stream = opened(f"rtsp://me:geheim@{place}", patience=SOON)
    frames = iter(stream)
    assert next_of(frames).picture.shape == (3, 120, 160)
    assert until(lambda: stream.dropped >= 10)
    late = opened(f"rtsp://me:geheim@{place}", patience=SOON)  # it begins in the middle of a group of pictures
    assert not any(next_of(late).problem for _ in range(5))
    server.close()
    assert until(lambda: stream._problem)
    rtsp(server.port)
    with pytest.warns(OutriderWarning, match=rf"^rtsp://\*\*\*@{place} is there again after"):
        assert not next_of(frames, lambda frame: stream.reconnects).problem


def video(path, n, kind=None):
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for value in range(n):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32), 40 + value, np.uint8), "gray")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def test_mpeg_ts_over_tcp_and_its_end(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 30.0)
    data = video(tmp_path / "a.ts", 60, "mpegts")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            connection, _ = server.accept()
            with connection:
                connection.sendall(data)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        stream = opened(f"tcp://127.0.0.1:{server.getsockname()[1]}", patience=0.3)
        thread.join(SOON)
        with pytest.warns(OutriderWarning, match="gave no picture for 0.3 s: the end of the stream"):
            frames = [frame for frame in stream if frame]
    assert frames[-1].picture.mean() == pytest.approx(99, abs=4)
    assert frames[-1].picture.shape == (3, 32, 32)


def test_a_recording_is_no_live_stream(opened, tmp_path):
    data = video(tmp_path / "a.mp4", 50)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(ValueError, match=r"expected pictures, got a recording of 2.0 s and no live stream; downl"):
            opened(f"http://127.0.0.1:{server.server_port}/a.mp4")
        server.shutdown()
