//! `/v1/audit`: who changed what, and the entries that handlers write.

use std::fmt::Display;

use actix_web::{HttpResponse, web};
use carillon_actors::model::{App, Seq};
use carillon_actors::store::{Audit, AuditEntry};
use carillon_sdk::api::Scope;
use carillon_sdk::api::audit::{AuditLog, AuditView};
use serde::Deserialize;
use serde_json::Value;

use super::caller::Caller;
use super::page::{LIMIT_DEFAULT, LIMIT_MAX};
use super::{Code, Refused, State};

impl Caller {
    /// The entry that says that this caller did `what` (as `template.create`) to `object`: it goes
    /// into the commit that does it.
    pub(super) fn audit(&self, what: &str, object: impl Display) -> Audit {
        Audit {
            who: self.key().map_or_else(|| "client".to_owned(), |key| key.view.key_id.to_string()),
            from: Some(self.from().to_string()),
            what: what.to_owned(),
            object: object.to_string(),
            detail: None,
        }
    }

    /// The same, with what changed: a JSON object, and never a secret in it.
    pub(super) fn audit_of(&self, what: &str, object: impl Display, detail: &Value) -> Audit {
        Audit { detail: Some(detail.to_string()), ..self.audit(what, object) }
    }

    /// The caller's app, if the key has any of these scopes there.
    fn with_any(&self, scopes: &[Scope]) -> Result<App, Refused> {
        let allowed = scopes.iter().find_map(|scope| self.with(*scope).ok());
        allowed.map_or_else(|| self.with(scopes[0]), Ok)
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// `next` of the page before: entries older than that.
    before: Option<String>,
    /// Entries on this page; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Read the audit log
///
/// Every change of the app's keys, templates, settings and whatever else its owner keeps, the newest
/// first; kept for a year. A key with the scope `keys` reads it too.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of entries", body = AuditLog)))]
pub(super) async fn read(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = match caller.operator() {
        // The operator's own log is of what belongs to no app.
        Ok(()) => carillon_actors::store::NO_APP,
        Err(_) => caller.with_any(&[Scope::Manage, Scope::Keys])?,
    };
    let query: AuditQuery = caller.query()?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refused::because(Code::QueryInvalid, format!("limit is 1 to {LIMIT_MAX}")));
    }
    let before = query.before.map(|text| text.parse().map(Seq)).transpose();
    let before = before.map_err(|_| Refused::new(Code::CursorInvalid))?;
    let entries = state.engine.store().audit_log(app, before, limit).await;
    let entries = entries.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|last| last.seq.0.to_string());
    Ok(HttpResponse::Ok().json(AuditLog { entries: entries.into_iter().map(view).collect(), next }))
}

fn view(entry: AuditEntry) -> AuditView {
    let AuditEntry { seq, at, audit } = entry;
    AuditView {
        seq: seq.0.to_string(),
        at,
        who: audit.who,
        from: audit.from,
        what: audit.what,
        object: audit.object,
        detail: audit.detail.and_then(|text| serde_json::from_str(&text).ok()),
    }
}
