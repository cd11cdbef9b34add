"""What a vendor will not have: the contract's limits, dead tokens, and what follows."""

from lab import LAB, os_type, phone, verdict
from rows import row
from world import eventually, ok

#: Longest title and body that the contract lets through, in letters; then in Han characters.
LIMITS = {
    "huawei": (40, 1024, 40, 300),
    "oppo": (32, 200, 32, 200),
    "vivo": (40, 100, 20, 50),
    "honor": (60, 1500, 30, 500),
    "harmonyos": (60, 1500, 30, 500),
    "xiaomi": (49, 127, 49, 127),
}


def pushed(app, vendor, title, content="content"):
    name, given, device = phone(app, vendor)
    message = ok(app.simple({name: given}, delivery=os_type(vendor), title=title, content=content)).push_result.data
    return message, given


@row("vendor limits: a title too long for Huawei fails there with its reason, and not on our own channel")
def _(server):
    app = LAB.app(server, "huawei", routing={"fallback": "none"})
    message, given = pushed(app, "huawei", "a" * 41)
    target = verdict(app, message, "rejected")
    last = target["steps"][-1]
    assert (last["channel"], last["reason"], last["detail"]) == ("huawei", "vendor_refused", "title_too_long"), last
    assert LAB.refused("huawei", given) and not LAB.heard("huawei", given), "Huawei is not even asked"
    own = app.device("own").connect()
    ok(app.simple({"own": "k1"}, delivery=1, title="a" * 41))
    assert own.push()["title"] == "a" * 41
    native = {"to": {"devices": [target["device_id"]]}, "title": "a" * 41, "body": "by our own API"}
    app.native("POST", "/v1/pushes", native)
    taken = LAB.taken("huawei", given)["android"]["notification"]
    assert taken["title"] == "a" * 41, "the limit is the contract's, not Huawei's"


@row("vendor limits: each vendor's, in letters and in Han characters, to the letter")
def _(server):
    app = LAB.app(server, routing={"fallback": "none"})
    for vendor, (title, body, wide_title, wide_body) in LIMITS.items():
        for letter, title_max, body_max in [("a", title, body), ("汉", wide_title, wide_body)]:
            _, given = pushed(app, vendor, letter * title_max, letter * body_max)
            LAB.taken(vendor, given)
            message, given = pushed(app, vendor, letter * (title_max + 1))
            last = verdict(app, message, "rejected")["steps"][-1]
            assert (last["reason"], last["detail"]) == ("vendor_refused", "title_too_long"), (vendor, last)
            assert LAB.refused(vendor, given)
    for vendor, body_max in [("huawei", 1024), ("oppo", 200), ("vivo", 100), ("xiaomi", 127)]:
        message, _ = pushed(app, vendor, "title", "a" * (body_max + 1))
        assert verdict(app, message, "rejected")["steps"][-1]["detail"] == "body_too_long", vendor
    _, given = pushed(app, "apns", "a" * 400, "b" * 800)
    assert LAB.taken("apns", given)["title"] == "a" * 400, "iOS cuts what it shows by itself"


@row("fallback: what a vendor refused waits for the socket, or fails, as the app's routing says")
def _(server):
    for fate, reason, detail in [("bad", "vendor_refused", "80100003"), ("dead", "token_dead", "80300007")]:
        app = LAB.app(server, "huawei")
        name, given, device = phone(app, "huawei", fate=fate, connect=True)
        message = ok(app.simple({name: "k1"}, delivery=1)).push_result.data
        assert device.push()["title"] == "title"
        steps = verdict(app, message, "delivered")["steps"]
        told = [(step["step"], step.get("reason"), step.get("detail")) for step in steps]
        assert ("refused", reason, detail) in told, told
        assert told.index(("refused", reason, detail)) < [step["step"] for step in steps].index("sent"), told
        app = LAB.app(server, "huawei", routing={"fallback": "none"})
        name, given, device = phone(app, "huawei", fate=fate, connect=True)
        message = ok(app.simple({name: "k1"}, delivery=1)).push_result.data
        last = verdict(app, message, "rejected")["steps"][-1]
        assert (last["reason"], last["detail"]) == (reason, detail), last
        device.nothing_waits()
        shown = lambda: app.state(name).data.third_token
        if fate == "dead":
            eventually("the dead token to go", lambda: shown() == "")
            ok(app.simple({name: "k2"}, delivery=1))
            assert device.push()["title"] == "title", "there is one road left"
        else:
            assert shown() == given
