"""The four pushes, and what reaches a device of them."""

import json
import time

from rows import row
from world import eventually, failed, ok


@row("simple to user: every device the user is logged in on gets it")
def _(server):
    app = server.app()
    phones = [app.device(name).connect() for name in ("phone", "tablet")]
    for phone in phones:
        app.bind(phone.name, "ann")
    body = ok(app.simple({"ann": "k1"}, extended_params=json.dumps({"a": "1", "n": 2}), channel_id="news"))
    for phone in phones:
        push = phone.push()
        assert (push["title"], push["body"], push["user_id"]) == ("title", "content", "ann"), push
        assert push["data"] == {"a": "1", "n": "2"} and push["look"]["channel_id"] == "news", push
        assert push["message_id"] == body.push_result.data, body


@row("simple to device: kinds 1, 2 and 7 by the device's id alone")
def _(server):
    app = server.app()
    for delivery, platform in [(1, "android"), (2, "ios"), (7, "harmonyos")]:
        phone = app.device(platform, platform).connect()
        ok(app.simple({platform: "k1"}, delivery=delivery))
        assert phone.push()["title"] == "title"
    failed(app.simple({"nobody": "k1"}, delivery=1), "3028")
    for delivery in (5, 6, 4, 0, None):
        failed(app.simple({"android": "k2"}, delivery=delivery), "3009")


@row("10-target cap: eleven pairs fail with 3029 and nothing is sent")
def _(server):
    app = server.app()
    phones = [app.device(f"phone{at}").connect() for at in range(2)]
    failed(app.simple({f"phone{at}": f"k{at}" for at in range(11)}, delivery=1), "3029")
    for phone in phones:
        phone.nothing_waits()
    ok(app.simple({f"phone{at}": f"k{at}" for at in range(10)}, delivery=1))
    for phone in phones:
        assert phone.push()["title"] == "title"


@row("refusals: each bad parameter has its code, and nothing is sent")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    to = {"phone": "k1"}
    for more, code in [
        ({"expired_seconds": 0}, "3020"),
        ({"expired_seconds": -1}, "3020"),
        ({"expired_seconds": None}, "3020"),
        ({"expired_seconds": 7 * 86400 + 1}, "3026"),
        ({"title": ""}, "3024"),
        ({"content": None}, "3024"),
        ({"target_msgkey": "{}"}, "3021"),
        ({"target_msgkey": None}, "3021"),
        ({"target_msgkey": "no json"}, "3028"),
        ({"extended_params": json.dumps({f"k{at}": "v" for at in range(21)})}, "3035"),
        ({"extended_params": "no json"}, "3044"),
        ({"content": "x" * 2100}, "3050"),
        ({"silent": 2}, "3028"),
        ({"push_style": 3}, "3028"),
        ({"push_action": 2}, "3028"),
        ({"notify_type": "loud"}, "3028"),
        ({"sms_strategy": 1}, "3028"),
        ({"strategy_type": 3}, "3028"),
        ({"strategy_type": 1}, "3028"),
        ({"icon_urls": "no json"}, "3028"),
    ]:
        failed(app.simple(to, delivery=1, **more), code)
    phone.nothing_waits()
    ok(app.simple(to, delivery=1, extended_params=json.dumps({f"k{at}": "v" for at in range(20)})))
    assert len(phone.push()["data"]) == 20


@row("msgKey dedupe: the same call twice is one arrival and one answer")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    first = ok(app.simple({"ann": "k1"})).push_result.data
    assert phone.push()["title"] == "title"
    assert ok(app.simple({"ann": "k1"})).push_result.data == first
    phone.nothing_waits()
    assert ok(app.simple({"ann": "k2"})).push_result.data != first
    assert phone.push()["title"] == "title"
    app.template("t", "Hi #name#")
    first = ok(app.multiple([("ann", "m1", {"name": "Ann"}, None)], "t")).push_result.data
    assert phone.push()["title"] == "Hi Ann"
    assert ok(app.multiple([("ann", "m1", {"name": "Ann"}, None)], "t")).push_result.data == first
    phone.nothing_waits()


@row("TargetMsg list: a hundred targets are taken, a hundred and one are not")
def _(server):
    app = server.app()
    app.template("t", "Hi #name#")
    targets = [(f"user{at}", f"k{at}", {"name": str(at)}, None) for at in range(101)]
    phone = app.device("phone").connect()
    app.bind("phone", "user99")
    failed(app.multiple(targets, "t"), "3028", "3029")
    phone.nothing_waits()
    assert ok(app.multiple(targets[:100], "t")).push_result.data.isdigit()
    assert phone.push()["title"] == "Hi 99"


@row("template push: rendered title, body and uri; a missing template or placeholder fails")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    app.bind("phone", "ann")
    app.template("t", "Hi #name#", "You have #count# of #name#", uri="app://inbox/#count#", push_style=1)
    failed(app.template_push({"ann": "k0"}, "none", {}), "3022")
    body = failed(app.template_push({"ann": "k0"}, "t", {"name": "Ann"}), "3023")
    assert "count" in body.push_result.result_msg and "ann" in body.push_result.result_msg, body
    phone.nothing_waits()
    ok(app.template_push({"ann": "k1"}, "t", {"name": "Ann", "count": 3}))
    push = phone.push()
    assert (push["title"], push["body"]) == ("Hi Ann", "You have 3 of Ann"), push
    assert (push["uri"], push["look"]["style"]) == ("app://inbox/3", "big_text"), push
    failed(app.template_push({"ann": "k2"}, None), "3025")


@row("multiple: each target its own words and data, over those of all")
def _(server):
    app = server.app()
    app.template("t", "Hi #name#", "#name#!")
    phones = {user: app.device(f"phone-{user}").connect() for user in ("ann", "bob")}
    for user, phone in phones.items():
        app.bind(phone.name, user)
    targets = [("ann", "k1", {"name": "Ann"}, {"own": "1"}), ("bob", "k2", {"name": "Bob"}, None)]
    task = ok(app.multiple(targets, "t", extended_params=json.dumps({"all": "x"}))).push_result.data
    assert task.isdigit(), task
    push = phones["ann"].push()
    assert (push["title"], push["body"], push["data"]) == ("Hi Ann", "Ann!", {"all": "x", "own": "1"}), push
    push = phones["bob"].push()
    assert (push["title"], push["data"]) == ("Hi Bob", {"all": "x"}), push
    failed(app.multiple([("ann", "k3", {}, None)], "t"), "3023")
    failed(app.multiple([("ann", "k3", {"name": "A"}, {f"k{at}": "v" for at in range(10)})], "t"), "3049")
    failed(app.multiple([("ann", "k3", {"name": "A"}, None)], None), "3025")
    failed(app.multiple([], "t"), "3021")
    for phone in phones.values():
        phone.nothing_waits()


@row("broadcast: a platform, bound or not, late connectors within the validity and none after")
def _(server):
    app = server.app()
    app.template("t", "News #n#")
    news = lambda n: {"template_key_value": json.dumps({"n": n})}
    bound, unbound = app.device("bound").connect(), app.device("unbound").connect()
    apple = app.device("apple", "ios").connect()
    app.bind("bound", "ann")
    ok(app.broadcast("b1", "t", push_status=0, bind_period=4, **news("bound")))
    ok(app.broadcast("b2", "t", push_status=2, un_bind_period=4, **news("unbound")))
    ok(app.broadcast("b3", "t", push_status=1, un_bind_period=4, **news("all")))
    assert [bound.push()["title"] for _ in range(2)] == ["News bound", "News all"]
    assert [unbound.push()["title"] for _ in range(2)] == ["News unbound", "News all"]
    ok(app.broadcast("b4", "t", delivery=2, **news("apple")))
    assert apple.push()["title"] == "News apple"
    late = app.device("late").connect()
    assert sorted(late.push()["title"] for _ in range(2)) == ["News all", "News unbound"]
    first = ok(app.broadcast("b5", "t", expired_seconds=1, **news("short"))).push_result.data
    assert ok(app.broadcast("b5", "t", expired_seconds=1, **news("short"))).push_result.data == first
    assert bound.push()["title"] == "News short"
    bound.nothing_waits()
    time.sleep(1.2)  # the validity itself has to pass
    later = app.device("later").connect()
    assert sorted(later.push()["title"] for _ in range(2)) == ["News all", "News unbound"]
    later.nothing_waits()
    failed(app.broadcast("b6", "t", delivery=3), "3030")
    failed(app.broadcast("b6", "none"), "3022")
    failed(app.broadcast("b6", "t"), "3023")
    failed(app.broadcast(None, "t", **news("x")), "3028")
    nobody = server.app()
    nobody.template("t")
    first = ok(nobody.broadcast("b1", "t")).push_result.data
    assert ok(nobody.broadcast("b1", "t")).push_result.data == first, "accepted though nobody is there yet"


@row("validity: resent on connect or bind within it, and never after")
def _(server):
    app = server.app()
    phone = app.device("phone")
    ok(app.simple({"phone": "k1"}, delivery=1, title="long", channel_id="news", push_action=1))
    ok(app.simple({"phone": "k2"}, delivery=1, title="short", expired_seconds=1))
    ok(app.simple({"ann": "k3"}, title="before the bind"))
    time.sleep(1.2)  # the validity itself has to pass
    phone.connect()
    push = phone.push()
    assert (push["title"], push["look"]) == ("long", {"action": "app", "channel_id": "news"}), push
    phone.nothing_waits()
    app.bind("phone", "ann")
    assert phone.push()["title"] == "before the bind"
    phone.nothing_waits()


@row("routing: NotifyType transparent and AndroidChannel 1 arrive on the socket")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    for key, more in [("k1", {"notify_type": "transparent"}), ("k2", {"notify_type": "notify"})]:
        ok(app.simple({"phone": key}, delivery=1, **more))
        assert phone.push()["title"] == "title"
    app.template("t")
    for channel in (1, 2):
        ok(app.broadcast(f"b{channel}", "t", android_channel=channel))
        assert phone.push()["title"] == "title"
    failed(app.broadcast("b3", "t", android_channel=3), "3028")


@row("silent: the flag reaches the client")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    ok(app.simple({"phone": "k1"}, delivery=1, silent=1))
    assert phone.push()["silent"] is True
    ok(app.simple({"phone": "k2"}, delivery=1, silent=0))
    assert not phone.push().get("silent")
    app.template("quiet", show_style=1)
    ok(app.template_push({"phone": "k3"}, "quiet", delivery=1))
    assert phone.push()["silent"] is True


@row("SMS: checked, kept, and not sent")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    sms = {"sms_strategy": 1, "sms_sign_name": "s", "sms_template_code": "c", "sms_template_param": "{}"}
    ok(app.simple({"phone": "k1"}, delivery=1, **sms))
    assert phone.push()["title"] == "title"
    failed(app.simple({"phone": "k2"}, delivery=1, **{**sms, "sms_template_param": "x"}), "3028")


assert eventually
