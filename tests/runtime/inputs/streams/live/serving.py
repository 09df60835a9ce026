"""A camera on loopback that sends MJPEG over HTTP, as cameras do, and does what a test tells it."""

from __future__ import annotations

import base64
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

SOON = 30.0  # seconds: far more than anything here takes, so that a slow machine fails no test
SIDE, PERIOD = 32, 0.01


def jpeg(number):
    """A grey picture whose brightness is its number, up to 200."""
    file = io.BytesIO()
    Image.fromarray(np.full((SIDE, SIDE), number % 200, np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def number_of(frame):
    return round(float(frame.picture.mean()))


def until(condition):
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


class MjpegServer:
    """`sent` pictures so far, numbered on and on. mode: "run"; "stall" sends nothing; "drop" ends every connection;
    "garbage" sends parts that are no JPEG. password: of the user "me", where one is asked for."""

    def __init__(self, password=None):
        server = self
        self.sent, self.connections, self.mode, self.password = 0, 0, "run", password

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.connections += 1
                expected = base64.b64encode(f"me:{server.password}".encode()).decode()
                if server.password is not None and self.headers.get("Authorization") != f"Basic {expected}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while server.mode != "drop":
                    if server.mode != "stall":
                        self._part(jpeg(server.sent) if server.mode == "run" else b"\xff\xd8" + bytes(300))
                        server.sent += 1
                    time.sleep(PERIOD)

            def _part(self, data):
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """The reader has gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, user=""):
        return f"http://{user}127.0.0.1:{self.port}/video.mjpg"

    def close(self):
        self.mode = "drop"
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SOON)
