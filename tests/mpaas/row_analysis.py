"""Numbers: over a window, and of a task."""

import json
import time

from alibabacloud_mpaas20201028 import models as m

from rows import row
from world import change, eventually, failed, ok

DAY_MS = 86_400_000


def window():
    now = int(time.time() * 1000)
    return {"start_time": now - DAY_MS, "end_time": now}


def core(app, **more):
    request = m.QueryPushAnalysisCoreIndexRequest(**app.tenant, **window())
    return app.client.query_push_analysis_core_index(change(request, more)).body


def listed(app, **more):
    request = m.ListAnalysisCoreIndexRequest(**app.tenant, **window())
    return app.client.list_analysis_core_index(change(request, more)).body


def numbers(data):
    names = ("push_total_num", "push_num", "arrival_num", "open_num", "ignore_num")
    return tuple(getattr(data, name) for name in names)


@row("analysis: 3 pushed, 2 acked, 1 opened, 1 ignored, as numbers and as texts")
def _(server):
    app = server.app()
    phone, tablet = app.device("phone").connect(), app.device("tablet").connect()
    app.device("away")
    for name in ("phone", "tablet", "away"):
        ok(app.simple({name: "k1"}, delivery=1))
    phone.report(phone.push(), "opened")
    tablet.report(tablet.push(), "dismissed")
    wanted = (3, 3, 2, 1, 1)
    seen = lambda: core(app).result_content.data
    eventually("the counts", lambda: numbers(seen()) == wanted)
    data = seen()
    assert (data.arrival_rate, data.open_rate, data.ignore_rate) == (0.6667, 0.5, 0.5), data
    texts = listed(app)
    assert (texts.success, texts.result_content.success) == (True, True), texts
    assert numbers(texts.result_content.data) == tuple(str(number) for number in wanted), texts
    assert texts.result_content.data.arrival_rate == "0.6667", texts
    for more, total in [
        ({"platform": "ANDROID"}, 3),
        ({"platform": "IOS"}, 0),
        ({"channel": "ANDROID"}, 3),
        ({"channel": "HMS"}, 0),
        ({"type": "SIMPLE"}, 3),
        ({"type": "BROADCAST"}, 0),
    ]:
        assert core(app, **more).result_content.data.push_total_num == total, more
    now = int(time.time() * 1000)
    for bad in [
        {"start_time": now - 91 * DAY_MS},
        {"end_time": now - 5 * DAY_MS},
        {"start_time": None},
        {"platform": "AMIGA"},
        {"task_id": "no task"},
    ]:
        failed(core(app, **bad), "3028")
        failed(listed(app, **bad), "3028")
    assert core(app, start_time=now - 90 * DAY_MS, end_time=now).result_code == "OK"


@row("task list and detail: the ids are PushResult.Data, and the counts match")
def _(server):
    app = server.app()
    template = app.template("t", "Hi #name#")
    phones = {user: app.device(f"phone-{user}").connect() for user in ("ann", "bob")}
    for user, phone in phones.items():
        app.bind(phone.name, user)
    targets = [(user, "k1", {"name": user}, None) for user in ("ann", "bob", "cas")]
    multiple = ok(app.multiple(targets, "t", task_name="many")).push_result.data
    values = {"template_key_value": json.dumps({"name": "all"})}
    broadcast = ok(app.broadcast("b1", "t", task_name="all", **values)).push_result.data
    for phone in phones.values():
        assert {phone.push()["title"], phone.push()["title"]} == {"Hi all", "Hi " + phone.name.split("-")[1]}
    ok(app.simple({"ann": "simple"}))

    def tasks(**more):
        request = m.QueryPushAnalysisTaskListRequest(**app.tenant, start_time=window()["start_time"])
        body = app.client.query_push_analysis_task_list(change(request, more)).body
        assert body.result_code == "OK", body
        return body.result_content.data

    found = tasks()
    assert [task.task_id for task in found] == [broadcast, multiple], found
    assert [(task.task_name, task.type) for task in found] == [("all", 3), ("many", 2)], found
    assert {(task.template_name, task.template_id) for task in found} == {("t", template)}, found
    assert [task.task_id for task in tasks(task_name="many")] == [multiple]
    assert [task.task_id for task in tasks(task_id=broadcast)] == [broadcast]
    assert [task.task_id for task in tasks(page_number=2, page_size=1)] == [multiple]
    assert tasks(start_time=int(time.time() * 1000) + DAY_MS) == []

    def detail(task):
        request = m.QueryPushAnalysisTaskDetailRequest(**app.tenant, task_id=task)
        body = app.client.query_push_analysis_task_detail(request).body
        return body.result_content.data if body.result_code == "OK" else body

    of = lambda task: (task.push_num, task.push_success_num, task.push_arrival_num)
    eventually("the multiple push's counts", lambda: of(detail(multiple)) == (3, 3, 2))
    eventually("the broadcast's counts", lambda: of(detail(broadcast)) == (2, 2, 2))
    data = detail(multiple)
    assert data.task_id == int(multiple) and data.start_time <= data.end_time, data
    assert isinstance(data.duration, str) and int(data.duration) >= 0, data
    counted = lambda: numbers(core(app, task_id=multiple).result_content.data)[:3] == (3, 3, 2)
    eventually("the task's own numbers", counted)
    failed(detail("1"), "3028")
