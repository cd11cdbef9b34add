"""Which road a message takes: the socket, or the phone maker's channel."""

import json
import secrets

from alibabacloud_mpaas20201028 import models as m

from lab import CHANNELS, LAB, os_type, phone, token, verdict
from row_analysis import core, listed, numbers
from row_owner import Receiver
from rows import row
from world import eventually, failed, ok

HMS = CHANNELS["huawei"]


@row("routing: notify goes to the maker's channel, transparent and AndroidChannel 1 to the socket")
def _(server):
    app = LAB.app(server, "huawei")
    for at, (notify, by_vendor) in enumerate([("notify", True), (None, True), ("transparent", False)]):
        name, given, device = phone(app, "huawei", name=f"phone{at}", connect=True)
        message = ok(app.simple({name: "k1"}, delivery=1, notify_type=notify)).push_result.data
        if by_vendor:
            shown = LAB.taken("huawei", given)["android"]["notification"]
            assert (shown["title"], shown["body"]) == ("title", "content"), shown
            device.nothing_waits()
            assert verdict(app, message, "handed_over")["steps"][-1]["channel"] == "huawei"
        else:
            assert device.push()["title"] == "title"
            assert LAB.refused("huawei", given), "the socket's alone"
    for channel, by_vendor in [(1, False), (2, True)]:
        app = LAB.app(server, "huawei")
        app.template("t")
        name, given, device = phone(app, "huawei", name=f"wide{channel}", connect=True)
        ok(app.broadcast(f"b{channel}", "t", android_channel=channel))
        if by_vendor:
            assert LAB.taken("huawei", given)["android"]["notification"]["title"] == "title"
            device.nothing_waits()
        else:
            assert device.push()["title"] == "title"
            assert LAB.refused("huawei", given), "the socket's alone"


@row("routing: without a token or with the vendor's switch off, it is the socket")
def _(server):
    app = LAB.app(server, "huawei")
    plain = app.device("plain").connect()
    ok(app.simple({"plain": "k1"}, delivery=1))
    assert plain.push()["title"] == "title"
    name, given, device = phone(app, "xiaomi", connect=True)
    ok(app.simple({name: "k1"}, delivery=1))
    assert device.push()["title"] == "title", "there is no setup for Xiaomi"
    name, given, device = phone(app, "huawei", connect=True)
    setup = app.native("GET", "/v1/vendors/huawei")["setup"]
    kept = {field: setup[field] for field in ("settings", "hosts", "ca_pem")}
    app.native("PUT", "/v1/vendors/huawei", {**kept, "enabled": False})
    ok(app.simple({name: "k1"}, delivery=1))
    assert device.push()["title"] == "title"
    assert LAB.refused("huawei", given)


@row("report: every ThirdChannel's token is its vendor's, and the last one reported carries")
def _(server):
    app = LAB.app(server)
    phones = {vendor: phone(app, vendor) for vendor in CHANNELS}
    shown = {"huawei": "hms", "xiaomi": "miui", "apns": "ios"}
    for vendor, (name, given, _) in phones.items():
        state = app.state(name).data
        assert (state.third_token, state.manufacturer) == (given, shown.get(vendor, vendor)), state
        app.bind(name, "ann", os_type=os_type(vendor))
    message = ok(app.simple({"ann": "k1"}, expired_seconds=600)).push_result.data
    for vendor, (_, given, _) in phones.items():
        assert "content" in json.dumps(LAB.taken(vendor, given)), vendor

    def handed():
        targets = app.native("GET", f"/v1/messages/{message}")["targets"]
        # Some vendors send a receipt at once: then it is known to have been delivered.
        taken = [target for target in targets if target["state"] in ("handed_over", "delivered")]
        return len(taken) == len(targets) == len(CHANNELS)

    eventually("every vendor's verdict", handed)
    name, before, _ = phones["huawei"]
    after = token()
    app.report(name, 1, CHANNELS["oppo"], after)
    ok(app.simple({name: "k2"}, delivery=1, title="moved"))
    assert LAB.taken("oppo", after)["title"] == "moved"
    assert len(LAB.heard("huawei", before)) == 1, "what was reported before is over"


@row("DeliveryToken: an iPhone's is its APNs token, a HarmonyOS phone's its Push Kit token")
def _(server):
    app = LAB.app(server, "apns", "harmonyos")
    apple, harmony = secrets.token_hex(32), token("ok-" + "h" * 40)
    app.bind(apple, "ann", os_type=2)
    app.client.push_report(m.PushReportRequest(**app.tenant, delivery_token=harmony, os_type=7))
    for name, kind, vendor in [(apple, 2, "apns"), (harmony, 7, "harmonyos")]:
        ok(app.simple({name: "k1"}, delivery=kind))
        assert "content" in json.dumps(LAB.taken(vendor, name))
        state = app.state(name).data
        assert (state.third_token, state.statue) == (name, "UNKNOW"), state
    another = token()
    app.report(apple, 2, 2, another)
    ok(app.simple({apple: "k2"}, delivery=2, title="moved"))
    assert LAB.taken("apns", another)["title"] == "moved"
    app.bind("a-name-of-its-own", "bob", os_type=2)
    assert app.state("a-name-of-its-own").data.third_token == ""


@row("vendor numbers: what a vendor took has arrived, by channel, platform and task")
def _(server):
    app = LAB.app(server, "huawei", "fcm", "apns", routing={"fallback": "none"})
    names = [phone(app, vendor)[0] for vendor in ("huawei", "fcm", "apns")]
    refused = phone(app, "huawei", fate="dead", name="refused")[0]
    own = app.device("own").connect()
    for name in [*names, refused, "own"]:
        ok(app.simple({name: "k1"}, delivery=1))
    own.push()
    wanted = (5, 4, 4, 0, 0)
    eventually("the counts", lambda: numbers(core(app).result_content.data) == wanted)
    assert core(app).result_content.data.arrival_rate == 1.0
    for more, counts in [
        ({"channel": "HMS"}, (2, 1, 1)),
        ({"channel": "FCM"}, (1, 1, 1)),
        ({"channel": "IOS"}, (1, 1, 1)),
        ({"channel": "ANDROID"}, (1, 1, 1)),
        ({"channel": "OPPO"}, (0, 0, 0)),
        ({"platform": "IOS"}, (1, 1, 1)),
        ({"platform": "ANDROID"}, (4, 3, 3)),
        ({"platform": "ANDROID", "channel": "HMS"}, (2, 1, 1)),
    ]:
        seen = numbers(core(app, **more).result_content.data)
        assert seen[:3] == counts, (more, seen)
        texts = tuple(str(count) for count in counts)
        assert numbers(listed(app, **more).result_content.data)[:3] == texts, more
    app.report(refused, 1, HMS, token("dead"))  # the one before has been dropped
    app.template("t", "Hi #name#")
    targets = [(name, "m1", {"name": "Ann"}, None) for name in [*names, refused]]
    task = ok(app.multiple(targets, "t", delivery=1)).push_result.data
    request = m.QueryPushAnalysisTaskDetailRequest(**app.tenant, task_id=task)
    detail = lambda: app.client.query_push_analysis_task_detail(request).body.result_content.data
    of = lambda data: (data.push_num, data.push_success_num, data.push_arrival_num)
    eventually("the task's counts", lambda: of(detail()) == (4, 3, 3))
    assert numbers(core(app, task_id=task, channel="HMS").result_content.data)[:3] == (2, 1, 1)


@row("callback: a vendor's yes is Acked, its no has the contract's number where there is one")
def _(server):
    app = LAB.app(server, "huawei", "apns", routing={"fallback": "none"})
    receiver = Receiver(refusals=0)
    url = f"http://127.0.0.1:{receiver.server.server_port}/callback"
    app.native("POST", "/v1/settings/callback-key", {})
    app.native("PUT", "/v1/settings", {"routing": {"fallback": "none"}, "callback": {"enabled": True, "url": url}})
    for vendor, fate, event, status, name in [
        ("huawei", "ok", "handed_over", 2, "Acked"),
        ("apns", "ok", "handed_over", 2, "Acked"),
        ("apns", "say-BadDeviceToken", "rejected", 2009, "BadDeviceToken"),
        ("apns", "say-DeviceTokenNotForTopic", "rejected", 2010, "DeviceTokenNotForTopic"),
        ("apns", "dead", "rejected", 2011, "Unregistered"),
        ("huawei", "bad", "rejected", 80100003, "VendorRefused"),
    ]:
        phone(app, vendor, fate=fate, name=f"{vendor}-{fate}")
        ok(app.simple({f"{vendor}-{fate}": "k1"}, delivery=os_type(vendor)))
        told = json.loads(receiver.next()[1])
        assert (told["event"], told["channel"], told["deviceId"]) == (event, vendor, f"{vendor}-{fate}"), told
        assert (told["status"], told["statusName"]) == (status, name), told
    failed(app.simple({"nobody": "k1"}, delivery=1), "3028")
