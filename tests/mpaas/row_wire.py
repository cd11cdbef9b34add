"""Signatures, errors, throttling, forms: what any action has in common."""

import json
import urllib.request

from aliyunsdkcore.acs_exception.exceptions import ServerException as OldServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkmpaas.request.v20190821 import PushMultipleRequest, PushSimpleRequest
from alibabacloud_mpaas20200710 import models as m200710
from alibabacloud_mpaas20200710.client import Client as Client200710
from alibabacloud_mpaas20201028 import models as m
from alibabacloud_tea_openapi import models as open_api
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from darabonba.policy.retry import RetryOptions

from rows import raises, row
from world import Server, acs3, failed, native, ok, raw


@row("ACS3 signature: a live call holds, a wrong secret is SignatureDoesNotMatch")
def _(server):
    app = server.app()
    ok(app.simple({"ann": "k1"}))
    with raises(ClientException, "SignatureDoesNotMatch", 400):
        app.simple({"ann": "k1"}, client=app.sdk(access_key_secret="wrong"))
    with raises(ClientException, "InvalidAccessKeyId.NotFound", 404):
        app.simple({"ann": "k1"}, client=app.sdk(access_key_id="nobody"))
    with raises(ClientException, "UnsupportedSignatureAlgorithm", 400):
        app.simple({"ann": "k1"}, client=app.sdk(signature_algorithm="ACS3-HMAC-SM3"))


@row("signed header set: the client's own list counts")
def _(server):
    app = server.app()
    form = f"AppId={app.app_id}&WorkspaceId=default&Target=x&TargetType=1"
    headers, body = acs3(app, "PushQueryDeviceState", form)
    status, _, answer = raw(server, {**headers, "user-agent": "another"}, body)
    assert (status, answer["Code"]) == (400, "SignatureDoesNotMatch"), answer
    status, _, answer = raw(server, {**headers, "x-acs-action": "PushSimple"}, body)
    assert (status, answer["Code"]) == (400, "SignatureDoesNotMatch"), answer
    status, _, answer = raw(server, headers, body.replace(b"TargetType=1", b"TargetType=2"))
    assert (status, answer["Code"]) == (400, "SignatureDoesNotMatch"), answer
    extra = open_api.GlobalParameters(headers={"x-acs-extra": "1", "x-other": "two words "})
    ok(app.simple({"ann": "k1"}, client=app.sdk(global_parameters=extra)))
    bent = headers["Authorization"].replace("host;", "")
    status, _, answer = raw(server, {**headers, "Authorization": bent}, body)
    assert (status, answer["Code"]) == (400, "IncompleteSignature"), answer


def old_client(app, secret=None):
    host, port = app.server.endpoint.split(":")
    client = AcsClient(app.key_id, secret or app.secret, "cn-hangzhou", port=int(port), auto_retry=False)
    client.add_endpoint("cn-hangzhou", "mPaaS", host)
    return client


def old_simple(app, title="title"):
    request = PushSimpleRequest.PushSimpleRequest()
    request.set_protocol_type("http")
    request.set_endpoint(app.server.endpoint.split(":")[0])
    request.set_AppId(app.app_id)
    request.set_WorkspaceId("default")
    request.set_DeliveryType(3)
    request.set_ExpiredSeconds(600)
    request.set_TargetMsgkey(json.dumps({"ann": "old"}))
    request.set_Title(title)
    request.set_Content("content")
    return request


@row("RPC v1: the new SDK in v2 mode, and the old SDK's simple and multiple")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    ok(app.simple({"ann": "k1"}, client=app.sdk(signature_algorithm="v2"), title="~*'()!/ &=+ 你好"))
    assert phone.push()["title"] == "~*'()!/ &=+ 你好"
    answer = json.loads(old_client(app).do_action_with_exception(old_simple(app, "~*'()!/ &=+ 旧")))
    assert answer["PushResult"]["Success"] is True, answer
    assert phone.push()["title"] == "~*'()!/ &=+ 旧"
    app.template("t", "Hi #name#")
    request = PushMultipleRequest.PushMultipleRequest()
    request.set_protocol_type("http")
    request.set_endpoint(server.endpoint.split(":")[0])
    for name, value in {"AppId": app.app_id, "WorkspaceId": "default", "TemplateName": "t"}.items():
        getattr(request, f"set_{name}")(value)
    request.set_DeliveryType(3)
    request.set_ExpiredSeconds(600)
    request.set_TargetMsgs([{"Target": "ann", "MsgKey": "m1", "TemplateKeyValue": json.dumps({"name": "Ann"})}])
    answer = json.loads(old_client(app).do_action_with_exception(request))
    assert answer["PushResult"]["Success"] is True and answer["PushResult"]["Data"].isdigit(), answer
    assert phone.push()["title"] == "Hi Ann"


@row("old SDK error path: a wrong secret is a ServerException, never an IndexError")
def _(server):
    app = server.app()
    for secret, codes in [("wrong", ("SignatureDoesNotMatch", "InvalidAccessKeySecret"))]:
        try:
            old_client(app, secret).do_action_with_exception(old_simple(app))
        except OldServerException as error:
            assert error.get_error_code() in codes and error.get_request_id(), error
        else:
            raise AssertionError("expected a ServerException")
    request = old_simple(app)
    request.set_AppId("")
    try:
        old_client(app).do_action_with_exception(request)
    except OldServerException as error:
        assert (error.get_error_code(), error.get_http_status()) == ("MissingAppId", 400), error
    else:
        raise AssertionError("expected a ServerException")


@row("replay: captured bytes are refused the second time, and a date of twenty minutes ago")
def _(server):
    app = server.app()
    form = f"AppId={app.app_id}&WorkspaceId=default&DeliveryToken=d&OsType=1&UserId=u"
    headers, body = acs3(app, "PushBind", form)
    status, _, answer = raw(server, headers, body)
    assert (status, answer["ResultCode"]) == (200, "OK"), answer
    status, _, answer = raw(server, headers, body)
    assert (status, answer["Code"]) == (400, "SignatureNonceUsed"), answer
    import time

    for off, code in [(-1200, "InvalidTimeStamp.Expired"), (1200, "InvalidTimeStamp.Expired"), (-840, None)]:
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + off))
        headers, body = acs3(app, "PushBind", form, **{"x-acs-date": date})
        status, _, answer = raw(server, headers, body)
        assert answer.get("Code") == code, answer
        if code is None:
            status, _, answer = raw(server, headers, body)
            assert answer["Code"] == "SignatureNonceUsed", "fourteen minutes old, and still known"
    headers, body = acs3(app, "PushBind", form, **{"x-acs-date": "yesterday"})
    assert raw(server, headers, body)[2]["Code"] == "InvalidTimeStamp.Format"


@row("STS: a security token is refused by name, since none is issued; a bearer token too")
def _(server):
    app = server.app()
    with raises(ClientException, "InvalidSecurityToken.NotFound", 400):
        app.simple({"ann": "k1"}, client=app.sdk(security_token="token"))
    with raises(ClientException, "InvalidSecurityToken.NotFound", 400):
        app.simple({"ann": "k1"}, client=app.sdk(security_token="token", signature_algorithm="v2"))
    status, _, answer = raw(server, {"x-acs-action": "PushSimple", "x-acs-bearer-token": "t"}, b"")
    assert (status, answer["Code"]) == (400, "UnsupportedSignatureAlgorithm"), answer


@row("errors: unknown action, missing AppId, wrong tenant, missing scope, server failure")
def _(server):
    app = server.app()
    with raises(ClientException, "InvalidAction.NotFound", 404):
        app.client.query_mcube_vhost(m.QueryMcubeVhostRequest(**app.tenant))
    with raises(ClientException, "MissingAppId", 400):
        app.client.push_simple(m.PushSimpleRequest(workspace_id="default"))
    with raises(ClientException, "MissingWorkspaceId", 400):
        app.client.push_bind(m.PushBindRequest(app_id=app.app_id))
    failed(app.client.get_template(m.GetTemplateRequest(template_name="t")).body, "3003")
    failed(app.simple({"ann": "k"}, app_id="ONEXOTHER"), "3007")
    failed(app.simple({"ann": "k"}, workspace_id="prod"), "3007")
    other = server.app()
    failed(other.simple({"ann": "k"}, app_id=app.app_id), "3007")
    headers, body = acs3(app, "PushSimple", "AppId=x", **{"x-acs-version": "2018-01-01"})
    assert raw(server, headers, body)[2]["Code"] == "InvalidVersion"
    read_only = app.native("POST", "/v1/keys", {"name": "reader", "scopes": ["read"]})
    reader = app.sdk(access_key_id=read_only["key_id"], access_key_secret=read_only["secret"])
    with raises(ClientException, "NoPermission", 403):
        app.simple({"ann": "k"}, client=reader)
    try:
        app.simple({"ann": "k"}, client=reader)
    except ClientException as error:
        assert error.access_denied_detail["AuthAction"] == "mpaas:PushSimple", error.access_denied_detail
    app.native("DELETE", f"/v1/keys/{read_only['key_id']}")
    with raises(ClientException, "InvalidAccessKeyId.Inactive", 403):
        app.simple({"ann": "k"}, client=reader)


@row("errors: an actor that dies with a push in hand is a ServerException, and the retry holds")
def _(server):
    with Server.start() as own:
        app = own.app()
        phone = app.device("phone").connect()
        app.bind("phone", "ann")
        ok(app.simple({"ann": "k0"}))
        assert phone.push()["title"] == "title"
        request = urllib.request.Request(own.ready["operations"] + "/dev/panic?kind=user", b"", method="POST")
        urllib.request.urlopen(request, timeout=30).close()
        try:
            app.simple({"ann": "k1"})
        except ServerException as error:
            assert (error.code, error.status_code) == ("ServiceUnavailable", 503) and error.request_id, error
        ok(app.simple({"ann": "k1"}))
        assert phone.push()["title"] == "title"
        phone.nothing_waits()


@row("throttling: x-acs-retry-after in milliseconds, and a client with RetryOptions succeeds")
def _(server):
    with Server.start(rates_key_per_s="2", rates_key_burst="2") as own:
        app = own.app()
        caught = None
        for _ in range(10):
            try:
                app.state("x")
            except ThrottlingException as error:
                caught = error
                break
        assert caught and caught.status_code == 429 and caught.request_id, caught
        assert 0 < caught.retry_after <= 1000 and caught.code == "Throttling.User", caught
        condition = {"maxAttempts": 5, "exception": ["ThrottlingException"], "errorCode": ["Throttling.User"]}
        patient = app.sdk(retry_options=RetryOptions({"retryable": True, "retryCondition": [condition]}))
        for _ in range(4):
            patient.push_query_device_state(m.PushQueryDeviceStateRequest(**app.tenant, target="x", target_type=1))


@row("throttling: a full queue is Throttling, and never Success")
def _(server):
    with Server.start(limits_pending_max="2") as own:
        app = own.app()
        ok(app.simple({"ann": "k1"}))
        ok(app.simple({"ann": "k2"}))
        try:
            app.simple({"ann": "k3"})
        except ThrottlingException as error:
            assert (error.code, error.status_code) == ("Throttling", 429) and error.retry_after > 0, error
        else:
            raise AssertionError("expected a ThrottlingException")
        body = ok(app.simple({"ann": "k4", "bob": "k4"}))
        assert body.push_result.data, "one of the two was accepted"


@row("never non-JSON: 10 MB, a bad path, a bad method, a GET with a body, too long a header")
def _(server):
    app = server.app()
    headers, body = acs3(app, "PushSimple", b"Title=" + b"x" * (10 << 20))
    status, _, answer = raw(server, headers, body)
    assert (status, answer["Code"]) == (413, "RequestBodyTooLarge") and answer["RequestId"], answer
    with raises(ClientException, "RequestBodyTooLarge", 413):
        app.simple({"ann": "k"}, content="x" * (10 << 20))
    headers, body = acs3(app, "PushSimple", "AppId=x")
    status, _, answer = raw(server, headers, body, path="/nowhere")
    assert (status, answer["Code"]) == (404, "InvalidPath.NotFound") and answer["RequestId"], answer
    status, _, answer = raw(server, headers, body, method="PUT")
    assert status in (400, 405) and answer["Code"], answer
    status, _, answer = raw(server, headers, body, method="GET")
    assert status == 400 and answer["Code"], answer
    status, _, answer = raw(server, {**headers, "x-long": "x" * 20000}, body)
    assert (status, answer["Code"]) == (431, "RequestHeaderTooLarge"), answer
    status, _, answer = raw(server, {}, b"", path="/")
    assert (status, answer["Code"]) == (400, "MissingAccessKeyId"), answer
    status, _, answer = raw(server, {}, b"", method="GET", path="/?Action=PushSimple")
    assert (status, answer["Code"]) == (400, "MissingAccessKeyId"), answer
    headers, body = acs3(app, "PushSimple", b"AppId=%ff")
    status, _, answer = raw(server, headers, body)
    assert (status, answer["ResultCode"]) == (200, "3031"), answer


@row("form decoding: every character of a title arrives")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    title = "Hello 你好 &=+*~%2A\t\"'<>#?/😀"
    ok(app.simple({"ann": "k1"}, title=title, content="a+b c", uri="app://x?a=1&b=%20"))
    push = phone.push()
    assert (push["title"], push["body"], push["uri"]) == (title, "a+b c", "app://x?a=1&b=%20"), push


@row("Any fields: a dict and a JSON string are the same push")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    payload = {"hms": {"k": "v", "l": ["a", "b"]}}
    for at, given in enumerate([payload, json.dumps(payload)]):
        more = {"transparent_message_payload": given, "transparent_message_urgency": "HIGH"}
        ok(app.simple({"phone": f"k{at}"}, delivery=1, activity_content_state=given, **more))
        assert phone.push()["title"] == "title"
    failed(app.simple({"phone": "k9"}, delivery=1, transparent_message_payload="no object"), "3028")
    failed(app.simple({"phone": "k9"}, delivery=1, notify_level="no object"), "3028")
    ok(app.simple({"phone": "k3"}, delivery=1, notify_level={"hms": "1"}, third_channel_category={"hms": "9"}))
    assert phone.push()["title"] == "title"


@row("versions: every one of the three, and the 2020-07-10 client's nineteen actions")
def _(server):
    app = server.app()
    client = app.sdk(Client200710)
    template = m200710.CreateTemplateRequest(**app.tenant, template_name="t", title="a", content="b")
    assert client.create_template(template).body.code == "100"
    simple = m200710.PushSimpleRequest(
        **app.tenant, delivery_type=3, expired_seconds=60, target_msgkey='{"ann":"k"}', title="a", content="b"
    )
    assert client.push_simple(simple).body.push_result.success is True
    later = json.dumps({"fixedTime": 4102444800000})
    simple.strategy_type, simple.strategy_content = 1, later
    failed(client.push_simple(simple).body, "3028")
    names = [name for name in dir(client) if name.endswith("_with_options") and callable(getattr(client, name))]
    push = [n for n in names if "push" in n or "mps_scheduler" in n or n.split("_with")[0] in TEMPLATES or "analysis" in n]
    assert len(push) >= 19, push
    for name in push:
        request = getattr(m200710, request_of(name, m200710))(**fitting(name, m200710, app))
        try:
            getattr(client, name.removesuffix("_with_options"))(request)
        except ClientException as error:
            assert error.code != "InvalidAction.NotFound", f"{name}: {error}"
    for version in ("2019-08-21", "2020-07-10", "2020-10-28"):
        form = f"AppId={app.app_id}&WorkspaceId=default&Target=x&TargetType=1"
        headers, body = acs3(app, "PushQueryDeviceState", form, **{"x-acs-version": version})
        assert raw(server, headers, body)[0] == 200


TEMPLATES = {"create_template", "get_template", "delete_template", "list_template_page"}


def request_of(name, models):
    wanted = name.removesuffix("_with_options").replace("_", "") + "request"
    return next(known for known in dir(models) if known.lower() == wanted)


def fitting(name, models, app):
    """AppId and WorkspaceId, where the request has them."""
    known = getattr(models, request_of(name, models))()
    return {field: value for field, value in app.tenant.items() if hasattr(known, field)}


@row("endpoint override: each of the twenty-one actions answers in its own words")
def _(server):
    app = server.app()
    names = sorted(
        name.removesuffix("_with_options")
        for name in dir(app.client)
        if name.endswith("_with_options")
        and (
            any(word in name for word in ("push_", "_push", "mps_scheduler", "analysis"))
            or name.removesuffix("_with_options") in TEMPLATES
        )
    )
    assert len(names) == 21, names
    for name in names:
        request = getattr(m, request_of(name, m))(**fitting(name, m, app))
        response = getattr(app.client, name)(request)
        body = response.body
        assert response.status_code == 200 and body and body.request_id == body.request_id.upper(), response
        said = getattr(body, "result_code", None) or getattr(body, "code", None)
        assert said, f"{name}: {response}"
        if hasattr(body, "push_result"):
            assert body.push_result.success is False and body.push_result.result_msg, response


assert native
