"""An RTSP server of GStreamer, run by the Python of the system: H.264 with a key frame a second, and a password."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

SERVER = """
import sys
import time
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
if Gst.ElementFactory.find("x264enc") is None or Gst.ElementFactory.find("rtph264pay") is None:
    sys.exit(3)
server, factory, auth = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory(), GstRtspServer.RTSPAuth()
server.set_service(sys.argv[1])
factory.set_shared(True)
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=30/1 !"
                   " x264enc tune=zerolatency key-int-max=30 ! rtph264pay name=pay0 pt=96 )")
token, permissions = GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
token.set_string("media.factory.role", "user")
auth.add_basic(GstRtspServer.RTSPAuth.make_basic("me", "geheim"), token)
server.set_auth(auth)
permissions.add_role("user")
for permission in ("media.factory.access", "media.factory.construct"):
    permissions.add_permission_for_role("user", permission, True)
factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
for _ in range(100):  # the port of a server that has just ended may not be free yet
    if server.attach(None):
        break
    time.sleep(0.2)
else:
    print(-1, flush=True)
    sys.exit(4)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


class RtspServer:
    """The process, at a port of its own or the one given. Skips the test where GStreamer has none."""

    def __init__(self, port=0):
        python = shutil.which("python3", path="/usr/bin")
        command = [python or sys.executable, "-c", SERVER, str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.close()
            pytest.skip("no RTSP server of GStreamer: apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly")
        self.port = int(line)
        assert self.port > 0, f"expected a server at port {port}, got none that binds to it"

    def close(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
