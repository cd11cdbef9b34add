"""Schedules and revokes."""

import json
import time

from alibabacloud_mpaas20201028 import models as m

from rows import row
from world import change, eventually, failed, ok

DAY_MS = 86_400_000


def now_ms():
    return int(time.time() * 1000)


def scheduled(app, **fields):
    request = m.QueryPushSchedulerListRequest(
        **app.tenant, start_time=now_ms() - DAY_MS, end_time=now_ms() + 300 * DAY_MS
    )
    body = app.client.query_push_scheduler_list(change(request, fields)).body
    assert body.result_code == "OK", body
    return body.result_content.data


def cancel(app, ids, kind=None):
    request = m.CancelPushSchedulerRequest(**app.tenant, unique_ids=ids, type=kind)
    return app.client.cancel_push_scheduler(request).body


@row("schedule: listed before, arrives at its time; cancelled, it never does")
def _(server):
    app = server.app()
    phone = app.device("phone").connect()
    at = now_ms() + 5_000
    once = {"strategy_type": 1, "strategy_content": json.dumps({"fixedTime": at})}
    parent = ok(app.simple({"phone": "k1"}, delivery=1, title="timed", **once)).push_result.data
    assert len(parent) == 32, parent
    assert ok(app.simple({"phone": "k1"}, delivery=1, title="timed", **once)).push_result.data == parent
    other = ok(app.simple({"phone": "k2"}, delivery=1, title="cancelled", **once)).push_result.data
    listed = scheduled(app, unique_id=parent)
    assert listed.total_count == 1, listed
    entry = listed.list[0]
    assert (entry.unique_id, entry.parent_id, entry.push_time) == (parent, parent, at), entry
    assert (entry.executed_status, entry.strategy_type, entry.type, entry.create_type) == ("0", 1, 0, 0), entry
    assert (entry.delivery_type, entry.push_title, entry.push_content) == (1, "timed", "content"), entry
    assert scheduled(app).total_count == 2 and scheduled(app, type=1).total_count == 0
    assert len(scheduled(app, page_number=2, page_size=1).list) == 1
    done = cancel(app, other)
    assert (done.result_code, done.result_content) == ("OK", other), done
    phone.nothing_waits()
    push = phone.push()
    assert push["title"] == "timed" and push["sent_at"] >= at, push
    eventually("it to have run", lambda: scheduled(app, unique_id=parent).list[0].executed_status == "1")
    failed(cancel(app, parent), "3028")
    failed(cancel(app, "0" * 32), "3028")
    failed(cancel(app, "no id"), "3028")
    phone.nothing_waits()
    past = {"strategy_type": 1, "strategy_content": json.dumps({"fixedTime": now_ms() - 1000})}
    failed(app.simple({"phone": "k3"}, delivery=1, **past), "3028")
    app.template("t", "Hi #name#")
    failed(app.multiple([("ann", "k", {}, None)], "t", **once), "3023")


@row("cyclic: a parent and its children, all found by the parent's id, one by its own")
def _(server):
    app = server.app()
    app.template("t", "Hi #name#")
    content = {"startTime": now_ms(), "endTime": now_ms() + 5 * DAY_MS, "circleType": 1, "circleValue": [1, 7]}
    content["time"] = "13:45:11"
    cyclic = {"strategy_type": 2, "strategy_content": json.dumps(content)}
    targets = [("ann", "k1", {"name": "Ann"}, None)]
    parent = ok(app.multiple(targets, "t", **cyclic)).push_result.data
    children = scheduled(app, unique_id=parent)
    assert 5 <= children.total_count <= 6, children
    assert {child.parent_id for child in children.list} == {parent}, children
    assert {(child.strategy_type, child.type) for child in children.list} == {(2, 2)}, children
    one = children.list[1]
    found = scheduled(app, unique_id=one.unique_id)
    assert [child.unique_id for child in found.list] == [one.unique_id], found
    assert time.strftime("%H:%M:%S", time.gmtime(one.push_time / 1000 + 8 * 3600)) == "13:45:11", one
    assert cancel(app, one.unique_id, 1).result_content == one.unique_id
    status = {child.unique_id: child.executed_status for child in scheduled(app, unique_id=parent).list}
    assert status.pop(one.unique_id) == "2" and set(status.values()) == {"0"}, status
    assert cancel(app, parent).result_content == parent
    left = [child for child in scheduled(app, unique_id=parent).list if child.executed_status == "0"]
    assert left == [], left
    weekly = {**content, "circleType": 2, "circleValue": [1, 3]}
    app.template("plain")
    key = {"strategy_type": 2, "strategy_content": json.dumps(weekly)}
    assert len(ok(app.broadcast("b1", "plain", **key)).push_result.data) == 32
    for bad in [
        {**content, "circleType": 4},
        {**weekly, "circleValue": [8]},
        {**weekly, "circleValue": []},
        {**content, "time": "25:00:00"},
        {**content, "endTime": now_ms() - 5 * DAY_MS, "startTime": now_ms() - 9 * DAY_MS},
        {**content, "endTime": now_ms() + 400 * DAY_MS},
    ]:
        strategy = {"strategy_type": 2, "strategy_content": json.dumps(bad)}
        failed(app.simple({"ann": "k"}, **strategy), "3028")


def revoke_message(app, key, target):
    request = m.RevokePushMessageRequest(**app.tenant, message_id=key, target_id=target)
    return app.client.revoke_push_message(request).body


def revoke_task(app, task):
    return app.client.revoke_push_task(m.RevokePushTaskRequest(**app.tenant, task_id=task)).body


@row("revoke message: offline, revoked, connected: nothing; what shows it is told; a failed one is not revoked")
def _(server):
    app = server.app()
    phone = app.device("phone")
    ok(app.simple({"phone": "k1"}, delivery=1, title="revoked"))
    ok(app.simple({"ann": "k2"}, title="revoked too"))
    ok(revoke_message(app, "k1", "phone"))
    ok(revoke_message(app, "k2", "ann"))
    app.bind("phone", "ann")
    phone.connect()
    phone.nothing_waits()
    message = ok(app.simple({"phone": "k3"}, delivery=1)).push_result.data
    assert phone.push()["message_id"] == message
    eventually("the ack", lambda: app.native("GET", f"/v1/messages/{message}")["counts"].get("delivered"))
    ok(revoke_message(app, "k3", "phone"))
    assert phone.receive("revoke")["message_id"] == message
    failed(revoke_message(app, "none", "phone"), "3028")
    failed(revoke_message(app, "k3", "nobody"), "3028")
    ok(app.simple({"bob": "k4"}, expired_seconds=1))
    time.sleep(1.2)  # the validity itself has to pass
    expired = lambda: revoke_message(app, "k4", "bob").push_result.success is False
    eventually("it to have expired", expired)
    failed(revoke_message(server.app(), "k3", "phone"), "3028")


@row("revoke task: a broadcast and a multiple push by PushResult.Data, and the rest never comes")
def _(server):
    app = server.app()
    app.template("t", "Hi #name#")
    values = {"template_key_value": json.dumps({"name": "all"})}
    here, away = app.device("here").connect(), app.device("away")
    task = ok(app.broadcast("b1", "t", **values)).push_result.data
    message = here.push()["message_id"]
    ok(revoke_task(app, task))
    assert here.receive("revoke")["message_id"] == message
    away.connect()
    away.nothing_waits()
    late = app.device("late").connect()
    late.nothing_waits()
    task = ok(app.multiple([("ann", "k1", {"name": "Ann"}, None)], "t")).push_result.data
    ok(revoke_task(app, task))
    app.bind("here", "ann")
    here.nothing_waits()
    failed(revoke_task(app, "1"), "3028")
    failed(revoke_task(app, "no task"), "3028")
    failed(revoke_task(server.app(), task), "3028")
