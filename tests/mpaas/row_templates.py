"""Templates."""

from alibabacloud_mpaas20201028 import models as m

from rows import row
from world import change, failed


@row("template CRUD: 100, 3036 for a second of the name, 3022 after its end")
def _(server):
    app = server.app()
    create = lambda **fields: app.client.create_template(
        change(m.CreateTemplateRequest(**app.tenant, template_name="t", title="a", content="b"), fields)
    ).body
    made = create(
        title="Hi #name#",
        content="#n# new",
        uri="app://#n#",
        desc_info="says hello",
        variables="name,n",
        push_style=2,
        show_style=1,
        jump_action=1,
        icon_urls='{"defaultUrl":"https://a/i.png","oppoUrl":"https://a/o.png"}',
    )
    assert (made.code, made.success, made.msg) == ("100", True, "SUCCESS") and made.data, made
    failed(create(), "3036")
    get = lambda **fields: app.client.get_template(m.GetTemplateRequest(**app.tenant, **fields)).body
    for found in (get(template_name="t"), get(template_id=made.data)):
        data = found.data
        assert all(isinstance(value, str) for value in data.to_map().values()), data
        assert (data.id, data.name, data.title, data.content) == (made.data, "t", "Hi #name#", "#n# new"), data
        assert (data.uri, data.desc_info, data.variables) == ("app://#n#", "says hello", "name,n"), data
        assert (data.push_style, data.show_style, data.action) == ("2", "1", "1"), data
        assert "oppoUrl" in data.icon_urls and int(data.gmt_create) > 0, data
    for fields, code in [
        ({"template_name": None}, "3037"),
        ({"template_name": "a,b"}, "3038"),
        ({"template_name": "x" * 201}, "3038"),
        ({"content": None}, "3039"),
        ({"content": "x" * 201}, "3039"),
        ({"title": None}, "3040"),
        ({"desc_info": "x" * 201}, "3041"),
        ({"uri": "x" * 2049}, "3042"),
        ({"push_style": 3}, "3028"),
    ]:
        failed(create(**{"template_name": "other", **fields}), code)
    app.template("u")
    page = app.client.list_template_page(m.ListTemplatePageRequest(**app.tenant, current_page=1, page_size=1)).body
    assert (page.total_size, page.page_size, page.current_page, page.success) == (2, 1, 1, True), page
    assert [row.name for row in page.data] == ["u"], page
    page = app.client.list_template_page(m.ListTemplatePageRequest(**app.tenant, current_page=2, page_size=1)).body
    assert [row.name for row in page.data] == ["t"], page
    delete = lambda **fields: app.client.delete_template(m.DeleteTemplateRequest(**app.tenant, **fields)).body
    gone = delete(template_id=made.data)
    assert (gone.code, gone.success) == ("100", True), gone
    failed(get(template_name="t"), "3022")
    failed(delete(template_name="t"), "3022")
    failed(get(), "3037")
    failed(app.template_push({"ann": "k"}, "t"), "3022")
    failed(server.app().client.get_template(m.GetTemplateRequest(**app.tenant, template_name="u")).body, "3007")
