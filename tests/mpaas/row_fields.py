"""Every parameter of a push that is for vendors, in the field of the vendor that it is for."""

import json

from lab import LAB, os_type, phone
from rows import row
from world import eventually, failed, ok


def shown(app, vendor, **more):
    """What this vendor took of a push with these parameters."""
    name, given, _ = phone(app, vendor)
    ok(app.simple({name: given}, delivery=os_type(vendor), **more))
    return LAB.taken(vendor, given)


@row("ThirdChannelCategory: each vendor's own numbers and words, as text or number")
def _(server):
    app = LAB.app(server)
    kinds = lambda **by_vendor: {"third_channel_category": by_vendor}
    for number, word in [("1", "IM"), (8, "EXPRESS"), ("11", "SYSTEM_REMINDER"), ("14", "MARKETING")]:
        assert shown(app, "huawei", **kinds(hms=number))["android"]["category"] == word
    for number, word in [("1", "IM"), ("8", "EXPRESS"), (11, "MAIL"), ("13", "MARKETING")]:
        payload = shown(app, "harmonyos", **kinds(harmonyos=number))["payload"]
        assert payload["notification"]["category"] == word, payload
    vivo = shown(app, "vivo", **kinds(vivo="1"))
    assert (vivo["category"], vivo["classification"]) == ("IM", 1), vivo
    vivo = shown(app, "vivo", **kinds(vivo="NEWS"))
    assert (vivo["category"], vivo["classification"]) == ("NEWS", 0), vivo
    assert shown(app, "oppo", **kinds(oppo="ORDER"))["category"] == "ORDER"
    for word, importance in [("1", "LOW"), ("2", "NORMAL"), ("LOW", "LOW")]:
        honor = shown(app, "honor", **kinds(honor=word))
        assert honor["android"]["notification"]["importance"] == importance, honor
    message = shown(app, "fcm", **kinds(fcm="orders"))["message"]
    assert message["android"]["notification"]["channel_id"] == "orders", message
    name = phone(app, "huawei")[0]
    failed(app.simple({name: "k1"}, delivery=1, third_channel_category="no json"), "3028")


@row("quotas: a message with a service's category is none of the two of marketing a phone may have a day")
def _(server):
    app = LAB.app(server, "huawei")
    name, given, _ = phone(app, "huawei")
    for at in range(3):
        ok(app.simple({name: f"k{at}"}, delivery=1, third_channel_category={"hms": "8"}))
    of = lambda: [one for one in LAB.captures("huawei")["taken"] if one["token"] == given]
    eventually("all three", lambda: len(of()) == 3)


@row("PLAY_VOICE: Huawei's thirteenth category goes with data alone")
def _(server):
    app = LAB.app(server, "huawei")
    payload = {"transparent_message_payload": {"hms": {"say": "1.00"}}}
    spoken = shown(app, "huawei", third_channel_category={"hms": "13"}, **payload)
    assert spoken["android"]["category"] == "PLAY_VOICE" and "notification" not in spoken["android"], spoken
    assert "category" not in shown(app, "huawei", third_channel_category={"hms": "13"})["android"]


@row("NotifyLevel: Huawei 1 low and 2 normal, OPPO 1, 2 and 16 beside a category")
def _(server):
    app = LAB.app(server, "huawei", "oppo", "honor")
    for level, importance in [("1", "LOW"), (2, "NORMAL")]:
        taken = shown(app, "huawei", notify_level={"hms": level})
        assert taken["android"]["notification"]["importance"] == importance, taken
        taken = shown(app, "honor", notify_level={"honor": level})
        assert taken["android"]["notification"]["importance"] == importance, taken
    both = {"notify_level": {"oppo": "16"}, "third_channel_category": {"oppo": "ORDER"}}
    assert shown(app, "oppo", **both)["notify_level"] == 16
    assert "notify_level" not in shown(app, "oppo", notify_level={"oppo": "2"})


@row("Classification: vivo's class, 1 when nothing says what it is")
def _(server):
    app = LAB.app(server, "vivo", routing={"fallback": "none"})
    assert shown(app, "vivo")["classification"] == 1
    assert shown(app, "vivo", classification="0")["classification"] == 0
    vivo = shown(app, "vivo", classification="1", third_channel_category={"vivo": "ORDER"})
    assert (vivo["classification"], vivo["category"]) == (1, "ORDER"), vivo


@row("ChannelId: Android's channel, where the vendor has a word for it; MiChannelId: Xiaomi's")
def _(server):
    app = LAB.app(server, "huawei", "fcm", "oppo", "xiaomi")
    assert shown(app, "huawei", channel_id="news")["android"]["notification"]["channel_id"] == "news"
    assert shown(app, "fcm", channel_id="news")["message"]["android"]["notification"]["channel_id"] == "news"
    assert shown(app, "oppo", channel_id="news")["channel_id"] == "news"
    xiaomi = shown(app, "xiaomi", channel_id="news", mi_channel_id="130001")
    assert xiaomi["extra.channel_id"] == "130001", xiaomi
    private = {"mi_channel_id": "130001", "vendor_template": "T1", "extended_params": '{"name": "Ann"}'}
    xiaomi = shown(app, "xiaomi", **private)
    assert (xiaomi["extra.template_id"], json.loads(xiaomi["extra.template_param"])) == ("T1", {"name": "Ann"})


@row("ExtendedParams: what vendors know reaches their fields, and all of it the app")
def _(server):
    app = LAB.app(server)
    given = {
        "sound": "ping",
        "badge": "3",
        "mutable-content": "1",
        "badge_add_num": "2",
        "badge_class": "org.example.Main",
        "big_text": "1",
        "order": "7781",
    }
    extended = {"extended_params": json.dumps(given)}
    payload = shown(app, "apns", **extended)["payload"]
    aps = payload["aps"]
    assert (aps["sound"], aps["badge"], aps["mutable-content"]) == ("ping", 3, 1), aps
    assert payload["order"] == "7781", payload
    huawei = shown(app, "huawei", **extended)
    note = huawei["android"]["notification"]
    assert note["badge"] == {"class": "org.example.Main", "add_num": 2, "set_num": 3}, note
    assert (note["sound"], note["style"], note["big_body"]) == ("ping", 1, "content"), note
    assert {**json.loads(huawei["data"]), **given} == json.loads(huawei["data"]), huawei
    honor = shown(app, "honor", **extended)["android"]["notification"]
    assert honor["badge"] == {"badgeClass": "org.example.Main", "addNum": 2, "setNum": 3}, honor
    harmony = shown(app, "harmonyos", **extended)["payload"]["notification"]
    assert harmony["badge"] == {"addNum": 2, "setNum": 3}, harmony
    assert harmony["clickAction"]["data"]["order"] == "7781", harmony
    xiaomi = shown(app, "xiaomi", **extended)
    assert xiaomi["extra.sound_uri"] == "ping" and json.loads(xiaomi["payload"])["order"] == "7781", xiaomi
    assert json.loads(shown(app, "oppo", **extended)["action_parameters"])["order"] == "7781"
    vivo = shown(app, "vivo", **extended)
    assert vivo["clientCustomMap"]["order"] == "7781" and vivo["addBadge"] is True, vivo
    assert shown(app, "fcm", **extended)["message"]["data"]["order"] == "7781"


@row("TransparentMessagePayload: data in place of a notification, as a dict or as JSON text")
def _(server):
    app = LAB.app(server)
    whole = {"hms": {"k": "v"}, "honor": {"k": "v"}, "harmonyos": {"k": "v"}, "fcm": {"k": "v"}, "ios": {"k": "v"}}
    for payload in (whole, json.dumps(whole)):
        given = {"transparent_message_payload": payload}
        huawei = shown(app, "huawei", **given, transparent_message_urgency="HIGH")
        assert json.loads(huawei["data"])["k"] == "v" and "notification" not in huawei["android"], huawei
        assert huawei["android"]["urgency"] == "HIGH", huawei
        assert shown(app, "huawei", **given)["android"]["urgency"] == "NORMAL"
        honor = shown(app, "honor", **given)
        assert json.loads(honor["data"])["k"] == "v" and "notification" not in honor["android"], honor
        harmony = shown(app, "harmonyos", **given)
        assert harmony["pushType"] == 6 and json.loads(harmony["payload"]["extraData"])["k"] == "v", harmony
        message = shown(app, "fcm", **given)["message"]
        assert message["data"]["k"] == "v" and "notification" not in message, message
        apple = shown(app, "apns", **given)
        assert (apple["push_type"], apple["payload"]["k"]) == ("background", "v"), apple
    # Whose name is not in it gets the notification.
    only = {"transparent_message_payload": {"honor": {"k": "v"}}}
    assert shown(app, "huawei", **only)["android"]["notification"]["title"] == "title"


@row("silent: the maker's channel gets a pass-through, or the socket the message where it has none")
def _(server):
    app = LAB.app(server)
    silent = {"silent": 1, "extended_params": '{"k": "v"}'}
    huawei = shown(app, "huawei", **silent)
    assert json.loads(huawei["data"])["k"] == "v" and "notification" not in huawei["android"], huawei
    assert "notification" not in shown(app, "honor", **silent)["android"]
    assert shown(app, "harmonyos", **silent)["pushType"] == 6
    assert "notification" not in shown(app, "fcm", **silent)["message"]
    apple = shown(app, "apns", **silent)
    assert (apple["push_type"], apple["payload"]["aps"]) == ("background", {"content-available": 1}), apple
    for vendor in ("xiaomi", "oppo", "vivo"):
        name, given, device = phone(app, vendor, connect=True)
        ok(app.simple({name: "k1"}, delivery=1, **silent))
        push = device.push()
        assert push["silent"] is True and push["data"] == {"k": "v"}, push
        assert LAB.refused(vendor, given), "it would have shown it"


@row("style, click and images: PushStyle, Uri, PushAction, and each vendor's own image with style 2")
def _(server):
    app = LAB.app(server)
    urls = {name: f"https://img.example.org/{name}" for name in ("defaultUrl", "hmsUrl", "honorUrl", "harmonyosUrl")}
    rich = {"push_style": 2, "image_urls": json.dumps(urls)}
    kind = {"third_channel_category": {"honor": "2"}}
    note = lambda vendor, **more: shown(app, vendor, **more)["android"]["notification"]
    assert note("huawei", **rich)["image"] == urls["hmsUrl"]
    assert note("honor", **rich, **kind)["image"] == urls["honorUrl"]
    assert shown(app, "harmonyos", **rich)["payload"]["notification"]["image"] == urls["harmonyosUrl"]
    assert shown(app, "fcm", **rich)["message"]["notification"]["image"] == urls["defaultUrl"]
    assert shown(app, "apns", **rich)["payload"]["image_url"] == urls["defaultUrl"]
    assert "image" not in note("huawei", image_urls=json.dumps(urls)), "of a message with style 0"
    assert note("huawei", push_style=1)["style"] == 1
    page, inside = {"uri": "https://example.org/o"}, {"uri": "app://order/1", "push_action": 1}
    assert note("huawei", **page)["click_action"] == {"type": 2, "url": "https://example.org/o"}
    assert note("huawei", **inside)["click_action"]["intent"].startswith("intent://order/1#Intent;scheme=app;")
    assert shown(app, "xiaomi", **page)["extra.web_uri"] == page["uri"]
    assert shown(app, "xiaomi", **inside)["extra.intent_uri"] == inside["uri"]
    oppo = shown(app, "oppo", **inside)
    assert (oppo["click_action_type"], oppo["click_action_url"]) == (5, inside["uri"]), oppo
    assert shown(app, "vivo", **page)["skipContent"] == page["uri"]
    assert shown(app, "apns", **inside)["payload"]["uri"] == inside["uri"]
    app.template("rich", push_style=2, image_urls=json.dumps(urls), uri="https://example.org/#n#")
    name, given, _ = phone(app, "huawei")
    ok(app.template_push({name: "k1"}, "rich", {"n": "7"}, delivery=1))
    note = LAB.taken("huawei", given)["android"]["notification"]
    assert (note["image"], note["click_action"]["url"]) == (urls["hmsUrl"], "https://example.org/7"), note


@row("validity: a vendor keeps it no longer than ExpiredSeconds")
def _(server):
    app = LAB.app(server)
    most = {"expired_seconds": 3600}
    assert 3500 < int(shown(app, "huawei", **most)["android"]["ttl"].removesuffix("s")) <= 3600
    assert 3500 < int(shown(app, "honor", **most)["android"]["ttl"].removesuffix("s")) <= 3600
    assert 3500 < shown(app, "harmonyos", **most)["pushOptions"]["ttl"] <= 3600
    assert 3500 < int(shown(app, "xiaomi", **most)["time_to_live"]) / 1000 <= 3600
    assert 3500 < shown(app, "oppo", **most)["off_line_ttl"] <= 3600
    assert 3500 < shown(app, "vivo", **most)["timeToLive"] <= 3600
    assert 3500 < int(shown(app, "fcm", **most)["message"]["android"]["ttl"].removesuffix("s")) <= 3600
    assert shown(app, "apns", **most)["expiration"] > 1_700_000_000


@row("multiple: each target's own words and data reach its vendor")
def _(server):
    app = LAB.app(server, "huawei", "fcm")
    app.template("t", "Hi #name#")
    tokens = {}
    for vendor, user in [("huawei", "ann"), ("fcm", "bob")]:
        name, tokens[vendor], _ = phone(app, vendor)
        app.bind(name, user)
    targets = [("ann", "k1", {"name": "Ann"}, {"own": "1"}), ("bob", "k2", {"name": "Bob"}, None)]
    kinds = {"third_channel_category": {"hms": "8"}, "notify_level": {"hms": "1"}}
    ok(app.multiple(targets, "t", extended_params='{"all": "x"}', **kinds))
    huawei = LAB.taken("huawei", tokens["huawei"])
    note = huawei["android"]["notification"]
    assert (note["title"], note["importance"], huawei["android"]["category"]) == ("Hi Ann", "LOW", "EXPRESS"), huawei
    data = json.loads(huawei["data"])
    assert (data["own"], data["all"]) == ("1", "x"), data
    message = LAB.taken("fcm", tokens["fcm"])["message"]
    assert (message["notification"]["title"], message["data"]["all"]) == ("Hi Bob", "x"), message
