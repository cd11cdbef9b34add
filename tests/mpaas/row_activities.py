"""Live Activities: kinds of target 5 and 6."""

import json
import time

from lab import LAB, LIVE_ACTIVITY, phone, token, verdict
from rows import row
from world import failed, ok

UPDATE = {"activity_event": "update", "activity_content_state": json.dumps({"eta": 5, "open": True})}


@row("live activity: DeliveryType 5 and 6 reach APNs with event, content-state and dismissal-date")
def _(server):
    app = LAB.app(server, "apns")
    given, reported = token(), token()
    ok(app.simple({given: "k1"}, delivery=5, **UPDATE))
    taken = LAB.taken("apns", given)
    assert taken["push_type"] == "liveactivity" and taken["dropped"] is None, taken
    assert taken["topic"].endswith(".push-type.liveactivity"), taken
    aps = taken["payload"]["aps"]
    assert (aps["event"], aps["content-state"]) == ("update", {"eta": 5, "open": True}), aps
    assert abs(aps["timestamp"] - time.time()) < 60 and "dismissal-date" not in aps, aps
    assert aps["alert"] == {"title": "title", "body": "content"}, aps
    (request,) = LAB.heard("apns", given)
    headers = dict(request["headers"])
    assert headers["apns-push-type"] == "liveactivity" and headers["apns-topic"] == taken["topic"], headers
    app.report("activity-1", 2, LIVE_ACTIVITY, reported)
    app.template("ride", "Ride #n#")
    ended = {"activity_event": "end", "dismissal_date": 1_900_000_000}
    ok(app.template_push({"activity-1": "k1"}, "ride", {"n": 7}, delivery=6, **ended))
    aps = LAB.taken("apns", reported)["payload"]["aps"]
    assert (aps["event"], aps["dismissal-date"], aps["content-state"]) == ("end", 1_900_000_000, {}), aps
    assert aps["alert"]["title"] == "Ride 7", aps


@row("live activity: a state as a dict is taken apart by the SDK, and comes with texts for leaves")
def _(server):
    app = LAB.app(server, "apns")
    given = token()
    state = {"eta": 5, "stops": [{"name": "a"}, {"name": "b"}]}
    ok(app.simple({given: "k1"}, delivery=5, activity_event="update", activity_content_state=state))
    aps = LAB.taken("apns", given)["payload"]["aps"]
    assert aps["content-state"] == {"eta": "5", "stops": [{"name": "a"}, {"name": "b"}]}, aps


@row("live activity: known by id and by token it is one; a new token takes the old one's place")
def _(server):
    app = LAB.app(server, "apns")
    first, second = token(), token()
    app.report("ride-1", 2, LIVE_ACTIVITY, first)
    by_token = ok(app.simple({first: "k1"}, delivery=5, **UPDATE)).push_result.data
    assert LAB.taken("apns", first)
    assert verdict(app, by_token, "handed_over")["device_id"] == "ride-1"
    app.report("ride-1", 2, LIVE_ACTIVITY, second)
    ok(app.simple({"ride-1": "k2"}, delivery=6, **UPDATE))
    assert LAB.taken("apns", second)["payload"]["aps"]["event"] == "update"
    assert app.native("GET", "/v1/devices/ride-1")["platform"] == "other"
    # An activity is no iPhone: a broadcast to iPhones is not for it.
    app.template("t")
    name, given, _ = phone(app, "apns")
    ok(app.broadcast("b1", "t", delivery=2))
    assert LAB.taken("apns", given)["push_type"] == "alert"
    assert len(LAB.heard("apns", second)) == 1


@row("live activity: refused without APNs, without a state, for an unknown id; over when its token is dead")
def _(server):
    app = server.app()
    given = token()
    for delivery in (5, 6):
        failed(app.simple({given: "k1"}, delivery=delivery, **UPDATE), "3009")
    app = LAB.app(server, "apns")
    failed(app.simple({given: "k1"}, delivery=5), "3028")
    failed(app.simple({given: "k1"}, delivery=5, activity_event="begin"), "3028")
    failed(app.simple({given: "k1"}, delivery=5, **UPDATE, dismissal_date=-1), "3028")
    failed(app.simple({"nobody's": "k1"}, delivery=6, **UPDATE), "3028")
    app.template("t")
    failed(app.multiple([(given, "k1", {}, None)], "t", delivery=5), "3009")
    failed(app.broadcast("b1", "t", delivery=6), "3009")
    assert not LAB.heard("apns", given)
    dead = token("dead")
    message = ok(app.simple({dead: "k1"}, delivery=5, **UPDATE)).push_result.data
    last = verdict(app, message, "rejected")["steps"][-1]
    assert (last["reason"], last["detail"]) == ("token_dead", "Unregistered"), last
    # Of a phone they mean nothing: it gets what it is shown.
    name, given, _ = phone(app, "apns")
    ok(app.simple({name: "k1"}, delivery=2, **UPDATE))
    assert LAB.taken("apns", given)["push_type"] == "alert"
