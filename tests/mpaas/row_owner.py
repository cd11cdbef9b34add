"""What the owner of an app sets: the switch of pushes by API, and the callback."""

import base64
import http.server
import json
import queue
import threading
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from device import DEADLINE_S
from rows import row
from world import failed, ok


@row("key management: switched off, every push is refused with REST_API_SWITCH_NOT_OPEN")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.template("t")
    app.native("PUT", "/v1/settings", {"push_api": {"enabled": False}})
    for answer in [
        app.simple({"phone": "k1"}, delivery=1),
        app.template_push({"phone": "k1"}, "t", delivery=1),
        app.multiple([("phone", "k1", {}, None)], "t", delivery=1),
        app.broadcast("b1", "t"),
        app.simple({"phone": "k1"}, delivery=1, strategy_type=1, strategy_content='{"fixedTime":4102444800000}'),
    ]:
        failed(answer, "3032")
        assert answer.push_result.result_msg == "REST_API_SWITCH_NOT_OPEN", answer
    app.native("PUT", "/v1/settings", {"push_api": {"enabled": True}})
    phone.nothing_waits()
    ok(app.simple({"phone": "k1"}, delivery=1))
    assert phone.push()["title"] == "title"


class Receiver:
    """Takes callbacks, after it has refused the first `refusals`."""

    def __init__(self, refusals):
        self.came, left = queue.Queue(), [refusals]
        came = self.came

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                refuse = left[0] > 0
                left[0] -= refuse
                came.put((urllib.parse.urlparse(self.path), body, refuse))
                self.send_response(503 if refuse else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.came.get(timeout=DEADLINE_S)


@row("callback: ?sign= verifies with the published key, a tampered body does not, a refusal is retried")
def _(server):
    app = server.app()
    receiver = Receiver(refusals=1)
    public = app.native("POST", "/v1/settings/callback-key", {})["public_key"]
    url = f"http://127.0.0.1:{receiver.server.server_port}/push/callback?a=1"
    app.native("PUT", "/v1/settings", {"callback": {"enabled": True, "url": url}})
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    message = ok(app.simple({"ann": "k1"})).push_result.data
    phone.push()
    refused_path, refused_body, refused = receiver.next()
    path, body, taken = receiver.next()
    assert refused and not taken and refused_body == body, (refused_body, body)
    query = urllib.parse.parse_qs(path.query)
    assert path.path == "/push/callback" and query["a"] == ["1"], path
    (sign,) = query["sign"]
    assert "+" not in sign and "/" not in sign, sign
    key = serialization.load_pem_public_key(public.encode())
    verify = lambda body: key.verify(base64.urlsafe_b64decode(sign), body, padding.PKCS1v15(), hashes.SHA256())
    verify(body)
    try:
        verify(body.replace(b"ann", b"bob"))
    except InvalidSignature:
        pass
    else:
        raise AssertionError("a tampered body verified")
    told = json.loads(body)
    assert (told["msgId"], told["msgKey"], told["target"]) == (message, "k1", "ann"), told
    assert (told["status"], told["statusName"], told["deliveryType"]) == (2, "Acked", 3), told
    assert (told["appId"], told["workspaceId"]) == (app.app_id, "default"), told
