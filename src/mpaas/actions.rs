//! Every action, in one table: its name, how it is answered, what its key must be allowed.

use actix_web::web;
use carillon_actors::model::App;
use carillon_actors::store::{Audit, KeyInfo, Nonce};
use carillon_sdk::api::Scope;
use futures_util::future::LocalBoxFuture;

use super::answer::{Done, Family, Refused};
use super::caller::Caller;
use super::fault::{Fault, Kind};
use super::form::Form;
use super::result::Code;
use crate::http::State;

/// A call of an action, by a key that may make it, for the key's own app.
pub(crate) struct Call {
    pub(crate) state: web::Data<State>,
    pub(crate) app: App,
    pub(crate) key: Box<KeyInfo>,
    pub(crate) form: Form,
    /// For the one write that the call causes: the nonce becomes durable with it.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) from: String,
}

type Handler = fn(Call) -> LocalBoxFuture<'static, Result<Done, Refused>>;

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) family: Family,
    pub(super) scope: Scope,
    /// Whether the SDK declares AppId and WorkspaceId required: the gateway then refuses their lack
    /// by itself, else the action does.
    tenant_required: bool,
    pub(super) handler: Handler,
}

const fn row(
    name: &'static str,
    family: Family,
    scope: Scope,
    tenant_required: bool,
    handler: Handler,
) -> Row {
    Row { name, family, scope, tenant_required, handler }
}

/// The same actions under 2019-08-21, 2020-07-10 and 2020-10-28: a version that lacks one has no SDK
/// that would call it.
pub(super) const ACTIONS: &[Row] = &[
    row("PushSimple", Family::Push, Scope::Push, true, |call| Box::pin(super::push::simple(call))),
    row("PushTemplate", Family::Push, Scope::Push, true, |call| Box::pin(super::push::template(call))),
    row("PushMultiple", Family::Push, Scope::Push, true, |call| Box::pin(super::push::multiple(call))),
    row("PushBroadcast", Family::Push, Scope::Push, true, |call| Box::pin(super::push::broadcast(call))),
    row("PushBind", Family::Push, Scope::Device, true, |call| Box::pin(super::devices::bind(call))),
    row("PushUnBind", Family::Push, Scope::Device, true, |call| Box::pin(super::devices::unbind(call))),
    row("PushReport", Family::Push, Scope::Device, true, |call| Box::pin(super::devices::report(call))),
    row("RevokePushMessage", Family::Push, Scope::Push, true, |call| Box::pin(super::revoke::message(call))),
    row("RevokePushTask", Family::Push, Scope::Push, true, |call| Box::pin(super::revoke::task(call))),
    row("CreateTemplate", Family::Msg, Scope::Manage, false, |call| Box::pin(super::templates::create(call))),
    row("GetTemplate", Family::Msg, Scope::Read, false, |call| Box::pin(super::templates::get(call))),
    row("ListTemplatePage", Family::Msg, Scope::Read, false, |call| Box::pin(super::templates::list(call))),
    row("DeleteTemplate", Family::Msg, Scope::Manage, false, |call| Box::pin(super::templates::delete(call))),
    row("QueryPushSchedulerList", Family::Content, Scope::Read, true, |call| {
        Box::pin(super::schedules::list(call))
    }),
    row("QueryMpsSchedulerList", Family::Content, Scope::Read, true, |call| {
        Box::pin(super::schedules::list(call))
    }),
    row("CancelPushScheduler", Family::ContentText, Scope::Push, true, |call| {
        Box::pin(super::schedules::cancel(call))
    }),
    row("CancelMpsScheduler", Family::ContentText, Scope::Push, true, |call| {
        Box::pin(super::schedules::cancel(call))
    }),
    row("QueryPushAnalysisCoreIndex", Family::Content, Scope::Read, true, |call| {
        Box::pin(super::analysis::index(call))
    }),
    row("ListAnalysisCoreIndex", Family::ContentSuccess, Scope::Read, false, |call| {
        Box::pin(super::analysis::index_in_texts(call))
    }),
    row("QueryPushAnalysisTaskList", Family::Content, Scope::Read, true, |call| {
        Box::pin(super::analysis::tasks(call))
    }),
    row("QueryPushAnalysisTaskDetail", Family::Content, Scope::Read, true, |call| {
        Box::pin(super::analysis::task(call))
    }),
    row("PushQueryDeviceState", Family::Message, Scope::Read, false, |call| {
        Box::pin(super::devices::state(call))
    }),
];

pub(super) fn find(name: &str) -> Option<&'static Row> {
    ACTIONS.iter().find(|row| row.name == name)
}

impl Call {
    /// As the audit log has it.
    pub(super) fn who(&self) -> String {
        format!("mpaas:{}", self.key.view.key_id)
    }

    pub(super) fn audit(&self, what: &str, object: &str) -> Audit {
        Audit {
            who: self.who(),
            from: Some(self.from.clone()),
            what: what.to_owned(),
            object: object.to_owned(),
            detail: None,
        }
    }

    pub(super) fn new(state: web::Data<State>, row: &Row, caller: Caller) -> Result<Self, Refused> {
        let Caller { key, form, nonce, from, .. } = caller;
        let form = form.map_err(|()| Code::RequestShouldBeUtf8)?;
        let denied = || {
            let scope = format!("{:?}", row.scope).to_lowercase();
            Fault::forbidden(row.name, key.view.key_id.as_str(), &scope)
        };
        let app = key.app.filter(|_| key.allows(row.scope)).ok_or_else(denied)?;
        tenant(&state, row, app, &form)?;
        Ok(Self { state, app, key, form, nonce: Some(nonce), from })
    }
}

/// The call must name the key's own app and workspace.
fn tenant(state: &State, row: &Row, app: App, form: &Form) -> Result<(), Refused> {
    let missing = |name: &str, kind| {
        let fault = Fault::new(kind, format!("{name} is mandatory for this action."));
        if row.tenant_required {
            Refused::from(fault)
        } else {
            Code::NeedAppIdWorkspaceId.because(name).into()
        }
    };
    let app_id = form.text("AppId").ok_or_else(|| missing("AppId", Kind::MissingAppId))?;
    let workspace_id =
        form.text("WorkspaceId").ok_or_else(|| missing("WorkspaceId", Kind::MissingWorkspaceId))?;
    let own = state.engine.store().app(app);
    if own.is_some_and(|own| own.app_id.as_str() == app_id && own.workspace_id.as_str() == workspace_id) {
        return Ok(());
    }
    Err(Code::AppIdWrong.because("the key is not one of this app and workspace").into())
}
