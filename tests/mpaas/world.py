"""A server, an app on it, and the SDKs pointed at it: endpoint and key changed, nothing else."""

import hashlib
import hmac
import http.client
import json
import os
import secrets
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from alibabacloud_mpaas20201028 import models as m
from alibabacloud_mpaas20201028.client import Client
from alibabacloud_tea_openapi import models as open_api

from device import DEADLINE_S, Device

WORKSPACE = "default"


class Server:
    """The server the suite was given, or one of its own with other settings."""

    def __init__(self, ready, process=None, directory=None):
        self.ready, self.process, self.directory = ready, process, directory
        self.http = ready["http"]
        self.endpoint = self.http.removeprefix("http://")
        with open(os.path.join(ready["data"], "operator.key")) as file:
            self.operator = tuple(file.read().split())

    @staticmethod
    def start(**settings):
        directory = tempfile.TemporaryDirectory(prefix="carillon-mpaas-")
        environment = {**os.environ, **{f"CARILLON_{name.upper()}": value for name, value in settings.items()}}
        process = subprocess.Popen(
            [os.environ["CARILLON"], "dev", "--json", "--ephemeral-ports", "--no-samples", "--data", directory.name],
            env={"CARILLON_LOG_LEVEL": "error", **environment, "RUST_BACKTRACE": "0"},
            stdout=subprocess.PIPE,
        )
        return Server(json.loads(process.stdout.readline()), process, directory)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def app(self):
        """A tenant nobody else has."""
        app_id = "ONEX" + secrets.token_hex(6).upper()
        made = native(self.http, self.operator, "POST", "/v1/apps", {"app_id": app_id, "workspace_id": WORKSPACE})
        key = made["key"]
        return App(self, app_id, made["app"]["client_key"], key["key_id"], key["secret"])


def authorization(key, method, path, body):
    key_id, secret = key
    at, nonce = str(int(time.time())), secrets.token_urlsafe(16)
    path, _, query = path.partition("?")
    query = "&".join(sorted(query.split("&")))
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join(["CARILLON1-HMAC-SHA256", at, nonce, method, path, query, digest])
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"CARILLON1-HMAC-SHA256 key_id={key_id}, timestamp={at}, nonce={nonce}, signature={mac}"


def native(http, key, method, path, body=None):
    """A call of the server's own API."""
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"Authorization": authorization(key, method, path, data)}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(http + path, data if body is not None else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from error
    return json.loads(text) if text else None


class App:
    def __init__(self, server, app_id, client_key, key_id, secret):
        self.server, self.app_id, self.client_key = server, app_id, client_key
        self.key_id, self.secret = key_id, secret
        self.client = self.sdk()

    def sdk(self, kind=Client, **changed):
        config = {
            "access_key_id": self.key_id,
            "access_key_secret": self.secret,
            "endpoint": self.server.endpoint,
            "protocol": "http",
            **changed,
        }
        return kind(open_api.Config(**config))

    def native(self, method, path, body=None):
        return native(self.server.http, (self.key_id, self.secret), method, path, body)

    def device(self, name, platform="android", **options):
        return Device(self, name, platform, **options)

    @property
    def tenant(self):
        return {"app_id": self.app_id, "workspace_id": WORKSPACE}

    # ---- the actions, with what every call of them has -----------------------------------------

    def bind(self, device, user, **more):
        request = m.PushBindRequest(**self.tenant, delivery_token=device, os_type=1, user_id=user)
        return ok(self.client.push_bind(change(request, more)))

    def unbind(self, device, user):
        request = m.PushUnBindRequest(**self.tenant, delivery_token=device, user_id=user)
        return ok(self.client.push_un_bind(request))

    def report(self, device, os_type, channel, token, **more):
        request = m.PushReportRequest(
            **self.tenant,
            delivery_token=device,
            os_type=os_type,
            third_channel=channel,
            third_channel_device_token=token,
        )
        return ok(self.client.push_report(change(request, more)))

    def simple(self, to, delivery=3, client=None, **more):
        """`to` is {target: msgKey}. Answers the body, whatever it says."""
        request = m.PushSimpleRequest(
            **self.tenant,
            delivery_type=delivery,
            expired_seconds=600,
            target_msgkey=json.dumps(to),
            task_name="task",
            title="title",
            content="content",
        )
        return (client or self.client).push_simple(change(request, more)).body

    def template_push(self, to, template, values=None, delivery=3, **more):
        request = m.PushTemplateRequest(
            **self.tenant,
            delivery_type=delivery,
            expired_seconds=600,
            target_msgkey=json.dumps(to),
            template_name=template,
            template_key_value=json.dumps(values or {}),
        )
        return self.client.push_template(change(request, more)).body

    def multiple(self, targets, template, delivery=3, **more):
        """`targets` are (target, msgKey, values, extended)."""
        listed = [
            m.PushMultipleRequestTargetMsg(
                target=target,
                msg_key=key,
                template_key_value=json.dumps(values) if values is not None else None,
                extended_params=json.dumps(extended) if extended is not None else None,
            )
            for target, key, values, extended in targets
        ]
        request = m.PushMultipleRequest(
            **self.tenant,
            delivery_type=delivery,
            expired_seconds=600,
            template_name=template,
            task_name="task",
            target_msg=listed,
        )
        return self.client.push_multiple(change(request, more)).body

    def broadcast(self, key, template, delivery=1, **more):
        request = m.PushBroadcastRequest(
            **self.tenant,
            delivery_type=delivery,
            expired_seconds=600,
            template_name=template,
            task_name="task",
            msgkey=key,
            push_status=1,
            un_bind_period=4,
        )
        return self.client.push_broadcast(change(request, more)).body

    def template(self, name, title="title", content="content", **more):
        request = m.CreateTemplateRequest(**self.tenant, template_name=name, title=title, content=content)
        body = self.client.create_template(change(request, more)).body
        assert (body.success, body.code) == (True, "100"), body
        return body.data

    def state(self, target, kind=1):
        request = m.PushQueryDeviceStateRequest(**self.tenant, target=target, target_type=kind)
        return self.client.push_query_device_state(request).body


def change(request, fields):
    for name, value in fields.items():
        assert hasattr(request, name), f"{type(request).__name__} has no {name}"
        setattr(request, name, value)
    return request


def ok(response):
    body = getattr(response, "body", response)
    assert body.push_result is not None, f"the SDK dropped the body: {response}"
    assert (body.result_code, body.push_result.success) == ("OK", True), body
    return body


def failed(body, *codes):
    """A business failure of HTTP 200 with one of these numbers."""
    code = getattr(body, "result_code", None) or getattr(body, "code", None)
    result = getattr(body, "push_result", None)
    if result is not None:
        assert result.success is False, body
    elif hasattr(body, "success"):
        assert not body.success, body
    assert code in codes, f"{code} is none of {codes}: {body}"
    return body


def eventually(what, ask):
    """Asks again until there is an answer: for what the server does on its own time and tells nobody."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.02)  # between two questions, not instead of one


# ---- calls byte by byte ------------------------------------------------------------------------


def acs3(app, action, form, **changed):
    """Headers and body of a call signed by hand, to be sent as they are or bent."""
    body = form if isinstance(form, bytes) else form.encode()
    headers = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "host": app.server.endpoint,
        "user-agent": "probe/1.0",
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-version": "2020-10-28",
        **changed,
    }
    names = sorted(headers)
    lines = ["POST", "/", ""] + [f"{name}:{headers[name]}" for name in names]
    lines += ["", ";".join(names), headers["x-acs-content-sha256"]]
    hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"ACS3-HMAC-SHA256\n{hashed}"
    signature = hmac.new(app.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={app.key_id},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return headers, body


def raw(server, headers, body, method="POST", path="/"):
    """Status, headers and body, which must be a JSON object whatever the status."""
    connection = http.client.HTTPConnection(server.endpoint, timeout=DEADLINE_S)
    connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
    for name, value in {**headers, "content-length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    parsed = json.loads(text)
    assert isinstance(parsed, dict), text
    return answer.status, answer.headers, parsed
