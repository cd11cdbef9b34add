"""A device: registers with the app's publishable key and speaks JSON over a WebSocket (docs/wire.md)."""

import base64
import json
import os
import socket
import struct
import urllib.parse
import urllib.request

DEADLINE_S = 30


class Device:
    def __init__(self, app, name, platform="android", register=True):
        self.app, self.name, self.platform = app, name, platform
        self.credential, self.address, self.socket = None, None, None
        if register:
            self.register()

    def register(self):
        """Answers whether it is new."""
        body = {"device_id": self.name, "platform": self.platform, "app_version": "1.0"}
        request = urllib.request.Request(
            self.app.server.http + "/v1/devices",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": "Client " + self.app.client_key},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            registered = json.load(answer)
        self.credential, self.address = registered["credential"], registered["addresses"]["ws"]
        return registered["created"]

    def connect(self):
        url = urllib.parse.urlparse(self.address)
        self.socket = socket.create_connection((url.hostname, url.port), DEADLINE_S)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._take(1)
        assert b" 101 " in head.split(b"\r\n")[0], head
        self.send({"type": "hello", "version": 1, "credential": self.credential})
        self.welcome = self.receive("welcome")
        return self

    def close(self):
        self.socket.close()
        self.socket = None

    def _take(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, frame):
        payload, mask = json.dumps(frame).encode(), os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        length = len(payload)
        head = struct.pack("!BB", 0x81, 0x80 | length) if length < 126 else struct.pack("!BBH", 0x81, 0xFE, length)
        self.socket.sendall(head + mask + masked)

    def receive(self, kind):
        """The next frame of this kind; pings are answered on the way, and news of the user passed over."""
        while True:
            first, length = self._take(2)
            length &= 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._take(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._take(8))
            payload = self._take(length)
            if first & 0x0F != 1:
                assert first & 0x0F != 8, f"closed while waiting for {kind}: {payload!r}"
                continue
            frame = json.loads(payload)
            if frame["type"] == "ping":
                self.send({"type": "pong"})
            elif frame["type"] == kind:
                return frame
            elif frame["type"] == "answer" and not frame["request"]:
                continue  # the app server bound or unbound a user: the device is told, and asked nothing
            else:
                raise AssertionError(f"waited for {kind}, got {frame}")

    def push(self, ack=True):
        """The next push, acked."""
        push = self.receive("push")
        if ack:
            self.send({"type": "ack", "seqs": [push["seq"]]})
        return push

    def report(self, push, kind):
        self.send({"type": "report", "message_id": push["message_id"], "kind": kind})

    def nothing_waits(self):
        """Nothing was on its way here: a push in its lane, sent now, is the next to come."""
        marker = "marker " + os.urandom(6).hex()
        by_socket = {"to": {"devices": [self.name]}, "title": marker, "vendor": {"route": "own_only"}}
        self.app.native("POST", "/v1/pushes", by_socket)
        came = self.push()
        assert came["title"] == marker, f"{self.name} got {came}"
