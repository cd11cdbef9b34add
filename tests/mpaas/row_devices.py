"""Devices and their users, as app servers speak of them."""

from alibabacloud_mpaas20201028 import models as m

from rows import row
from world import eventually, failed, ok


@row("device state: ONLINE, OFFLINE, and UNKNOW for what a maker's channel reaches")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.device("apple", "ios").connect()
    app.bind("phone", "ann")
    body = app.state("phone")
    assert (body.success, body.code, body.message) == (True, "100", "SUCCESS"), body
    data = body.data
    assert (data.statue, data.platform, data.user_id, data.delivery_token) == ("ONLINE", "android", "ann", "phone")
    assert app.state("ann", 2).data.device_id == "phone"
    phone.close()
    eventually("OFFLINE", lambda: app.state("phone").data.statue == "OFFLINE")
    assert app.state("apple").data.statue == "UNKNOW"
    failed(app.state("nobody"), "3028")
    failed(app.state("nobody", 2), "3028")
    failed(app.state(None), "3021")


@row("report: the token that is reported is the one that is shown; an unknown device is registered")
def _(server):
    app = server.app()
    report = lambda **more: app.client.push_report(
        m.PushReportRequest(**app.tenant, delivery_token="phone", **{"os_type": 1, **more})
    )
    ok(report(app_version="2.0", model="X1", channel="store", connect_type="wifi", imei="1", imsi="2"))
    assert app.state("phone").data.third_token == ""
    for channel, name in [(5, "hms"), (4, "miui"), (7, "oppo"), (8, "vivo"), (6, "fcm"), (9, "honor")]:
        ok(report(third_channel=channel, third_channel_device_token=f"token-{name}"))
        data = app.state("phone").data
        assert (data.third_token, data.manufacturer) == (f"token-{name}", name), data
    assert app.native("GET", "/v1/devices/phone")["vendor_channels"] == ["honor"], "one channel at a time"
    ok(report(third_channel=5, third_channel_device_token="another"))
    assert app.state("phone").data.third_token == "another"
    failed(report(third_channel=3, third_channel_device_token="x").body, "3028")
    failed(report(os_type=3).body, "3008")
    failed(app.client.push_report(m.PushReportRequest(**app.tenant, os_type=1)).body, "3001")
    # Nobody has its credential yet: the device claims it once, and nobody after it does.
    phone = app.device("phone", register=False)
    assert phone.register() is False
    phone.connect()
    ok(app.simple({"phone": "k1"}, delivery=1))
    assert phone.push()["title"] == "title"
    try:
        app.device("phone")
    except Exception as error:
        assert error.code == 409, error
    else:
        raise AssertionError("a claimed device was taken over")
    ok(report(app_version="2.1"))
    ok(app.simple({"phone": "k2"}, delivery=1))
    assert phone.push()["title"] == "title", "a report leaves the device's session alone"
    assert app.native("GET", "/v1/devices/phone")["app_version"] == "2.1"


@row("bind: an unknown device is registered with the platform of OsType; each lack has its code")
def _(server):
    app = server.app()
    for os_type, platform in [(1, "android"), (2, "ios"), (7, "harmonyos")]:
        app.bind(f"phone{os_type}", "ann", os_type=os_type)
        assert app.native("GET", f"/v1/devices/phone{os_type}")["platform"] == platform
        assert app.state(f"phone{os_type}").data.user_id == "ann"
    bind = lambda **fields: app.client.push_bind(m.PushBindRequest(**app.tenant, **fields)).body
    failed(bind(os_type=1, user_id="ann"), "3001")
    failed(bind(os_type=1, delivery_token="p"), "3012")
    failed(bind(os_type=4, delivery_token="p", user_id="ann"), "3008")
    failed(bind(delivery_token="p", user_id="ann"), "3008")
    app.bind("phone1", "bob", phone_number="+490000")
    assert app.state("phone1").data.user_id == "bob", "a device has one user"


@row("unbind: a push to the user waits, in the state NoBindInfo")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    app.unbind("phone", "bob")
    assert app.state("phone").data.user_id == "ann", "somebody else's login is left alone"
    app.unbind("phone", "ann")
    assert app.state("phone").data.user_id == ""
    message = ok(app.simple({"ann": "k1"})).push_result.data
    phone.nothing_waits()
    story = app.native("GET", f"/v1/messages/{message}")
    assert [(target.get("device_id"), target["state"]) for target in story["targets"]] == [(None, "pending")], story
    app.bind("phone", "ann")
    assert phone.push()["title"] == "title"
    failed(app.client.push_un_bind(m.PushUnBindRequest(**app.tenant, delivery_token="none", user_id="a")).body, "3028")
