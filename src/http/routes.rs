//! Every route, in one table: actix serves it, and the OpenAPI description is checked against it.

use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError, Route};
use carillon_sdk::api::Scope;

use super::schedules;
use super::{
    Code, Refused, apps, audit, devices, index, keys, messages, pushes, settings, stats, templates, users,
};
use super::{analysis, revokes};
use super::{audiences, tags};
use super::{campaigns, lists, tokens};
use super::{endpoints, events};
use super::{vendor_receipts, vendors};

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Anybody,
    /// A key with this scope.
    Key(Scope),
    /// The same, or the app's client key.
    KeyOrClient(Scope),
}

pub(super) struct Entry {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// The codes of refusals beyond those that every route of its kind may give.
    pub(super) codes: &'static [Code],
    route: fn() -> Route,
}

const fn entry(
    method: &'static str,
    path: &'static str,
    access: Access,
    codes: &'static [Code],
    route: fn() -> Route,
) -> Entry {
    Entry { method, path, access, codes, route }
}

use Access::{Anybody, Key, KeyOrClient};
use Code::{
    AppExists, AppInvalid, AppUnknown, AttributeInvalid, BroadcastsFull, CollapseKeyInvalid, ContentMissing,
    CursorInvalid, DataInvalid, DeviceExists, DeviceIdInvalid, DeviceUnknown, IdempotencyInFlight,
    IdempotencyKeyInvalid, IdempotencyMismatch, KeyInUse, KeyInvalid, KeyUnknown, KeysFull, LaneInvalid,
    MessageIdInvalid, MessageUnknown, Offline, PayloadTooLarge, QueryInvalid, QueueFull, RangeTooLarge,
    TargetDuplicate, TargetInvalid, TargetsTooMany, TemplateExists, TemplateInvalid, TemplateUnknown,
    TemplatesFull, TtlOutOfRange, UserIdInvalid, UserUnknown, VariableMissing, VersionMismatch,
};
use Code::{AudienceInvalid, TagInvalid, TagUnknown, TagsFull};
use Code::{EndpointDisabled, EndpointInvalid, EndpointUnknown, EndpointsFull, ReplayRunning};

use Code::{BodyTimeout, BodyTooLarge, Busy, RouteUnknown};
use Code::{CallbackKeyInvalid, CallbackKeyUnknown, PushApiOff, SettingsInvalid};
use Code::{
    CampaignInvalid, CampaignState, CampaignUnknown, CampaignsFull, ListInUse, ListInvalid, ListUnknown,
    ListsFull, PlanBroken, PlanChanged, WatchersFull,
};
use Code::{ChannelUnknown, TokenInvalid};
use Code::{ReceiptForged, ReceiptInvalid, VendorInvalid, VendorOptionsInvalid, VendorUnknown};
use Code::{RevokeTooLate, TaskUnknown};
use Code::{RunUnknown, ScheduleInvalid, ScheduleOver, SchedulePast, ScheduleUnknown, SchedulesFull};

const TOKEN: &[Code] = &[DeviceIdInvalid, DeviceUnknown, ChannelUnknown, TokenInvalid];

const PUSH: &[Code] = &[
    TargetInvalid,
    AudienceInvalid,
    TargetsTooMany,
    TargetDuplicate,
    ContentMissing,
    TemplateUnknown,
    VariableMissing,
    PayloadTooLarge,
    DataInvalid,
    TtlOutOfRange,
    LaneInvalid,
    CollapseKeyInvalid,
    VendorOptionsInvalid,
    IdempotencyKeyInvalid,
    IdempotencyInFlight,
    IdempotencyMismatch,
    QueueFull,
    BroadcastsFull,
    Offline,
    DeviceUnknown,
    PushApiOff,
];

/// Those of a push that has no recipient yet, and the schedule's own.
const SCHEDULE: &[Code] = &[
    TargetInvalid,
    AudienceInvalid,
    TargetsTooMany,
    TargetDuplicate,
    ContentMissing,
    TemplateUnknown,
    VariableMissing,
    PayloadTooLarge,
    DataInvalid,
    TtlOutOfRange,
    LaneInvalid,
    CollapseKeyInvalid,
    VendorOptionsInvalid,
    IdempotencyKeyInvalid,
    IdempotencyMismatch,
    ScheduleInvalid,
    SchedulePast,
    SchedulesFull,
    PushApiOff,
];

const TEMPLATE: &[Code] = &[TemplateInvalid, DataInvalid, TemplateUnknown, VersionMismatch];

const CAMPAIGN: &[Code] = &[
    CampaignInvalid,
    CampaignsFull,
    TargetInvalid,
    ContentMissing,
    DataInvalid,
    TtlOutOfRange,
    CollapseKeyInvalid,
    VendorOptionsInvalid,
    TemplateUnknown,
    ListUnknown,
];

const APPLY: &[Code] =
    &[CampaignUnknown, CampaignState, PlanChanged, PlanBroken, BroadcastsFull, ListUnknown];

const TELL: &[Code] = &[CampaignUnknown, CampaignState];

const REVOKE: &[Code] =
    &[MessageIdInvalid, MessageUnknown, RevokeTooLate, DeviceIdInvalid, UserIdInvalid, QueryInvalid];

const VENDOR: &[Code] = &[VendorUnknown, VendorInvalid];

/// Those of a body that is read without a key, too.
const RECEIPT: &[Code] = &[RouteUnknown, ReceiptForged, ReceiptInvalid, BodyTooLarge, BodyTimeout, Busy];

const DEVICE: &[Code] = &[DeviceIdInvalid, DeviceUnknown];

const DEVICE_TAGS: &[Code] = &[DeviceIdInvalid, DeviceUnknown, TagInvalid, TagsFull];
const USER_TAGS: &[Code] = &[UserIdInvalid, UserUnknown, TagInvalid, TagsFull];

/// Routes of one path stand together.
pub(super) const ROUTES: &[Entry] = &[
    entry("POST", "/v1/devices", KeyOrClient(Scope::Device), &[AttributeInvalid, DeviceExists], || {
        web::post().to(devices::register)
    }),
    entry("GET", "/v1/devices", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(devices::list)
    }),
    entry("GET", "/v1/devices/{id}", Key(Scope::Read), DEVICE, || web::get().to(devices::read)),
    entry("DELETE", "/v1/devices/{id}", Key(Scope::Device), DEVICE, || web::delete().to(devices::delete)),
    entry("PUT", "/v1/devices/{id}/user", Key(Scope::Device), DEVICE, || web::put().to(devices::bind)),
    entry("DELETE", "/v1/devices/{id}/user", Key(Scope::Device), DEVICE, || {
        web::delete().to(devices::unbind)
    }),
    entry("PUT", "/v1/devices/{id}/tags", Key(Scope::Device), DEVICE_TAGS, || {
        web::put().to(tags::set_device)
    }),
    entry("PATCH", "/v1/devices/{id}/tags", Key(Scope::Device), DEVICE_TAGS, || {
        web::patch().to(tags::change_device)
    }),
    entry("PUT", "/v1/users/{id}/tags", Key(Scope::Device), USER_TAGS, || web::put().to(tags::set_user)),
    entry("PATCH", "/v1/users/{id}/tags", Key(Scope::Device), USER_TAGS, || {
        web::patch().to(tags::change_user)
    }),
    entry("GET", "/v1/devices/{id}/tokens", Key(Scope::Device), &[DeviceIdInvalid, DeviceUnknown], || {
        web::get().to(tokens::read)
    }),
    entry("PUT", "/v1/devices/{id}/tokens/{channel}", Key(Scope::Device), TOKEN, || {
        web::put().to(tokens::set)
    }),
    entry(
        "DELETE",
        "/v1/devices/{id}/tokens/{channel}",
        Key(Scope::Device),
        &[DeviceIdInvalid, DeviceUnknown, ChannelUnknown],
        || web::delete().to(tokens::withdraw),
    ),
    entry("GET", "/v1/tokens", Key(Scope::Device), &[QueryInvalid], || web::get().to(tokens::export)),
    entry("POST", "/v1/tokens/import", Key(Scope::Device), &[QueryInvalid, ListInvalid], || {
        web::post().to(tokens::import)
    }),
    entry("GET", "/v1/tags", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || web::get().to(tags::list)),
    entry("DELETE", "/v1/tags/{tag}", Key(Scope::Device), &[TagUnknown], || web::delete().to(tags::delete)),
    entry(
        "POST",
        "/v1/tags/{tag}/members",
        Key(Scope::Device),
        &[QueryInvalid, TagInvalid, TagsFull, ListInvalid],
        || web::post().to(tags::members),
    ),
    entry("POST", "/v1/audiences/count", Key(Scope::Read), &[AudienceInvalid], || {
        web::post().to(audiences::count)
    }),
    entry("GET", "/v1/users/{id}", Key(Scope::Read), &[UserIdInvalid, UserUnknown], || {
        web::get().to(users::read)
    }),
    entry("POST", "/v1/pushes", Key(Scope::Push), PUSH, || web::post().to(pushes::create)),
    entry("POST", "/v1/pushes/batch", Key(Scope::Push), PUSH, || web::post().to(pushes::batch::batch)),
    entry(
        "GET",
        "/v1/messages/{id}",
        Key(Scope::Read),
        &[MessageIdInvalid, MessageUnknown, QueryInvalid, CursorInvalid],
        || web::get().to(messages::read),
    ),
    entry("DELETE", "/v1/messages/{id}", Key(Scope::Push), REVOKE, || web::delete().to(revokes::message)),
    entry("GET", "/v1/tasks", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(analysis::tasks)
    }),
    entry("GET", "/v1/tasks/{task}", Key(Scope::Read), &[TaskUnknown], || web::get().to(analysis::task)),
    entry("DELETE", "/v1/tasks/{task}", Key(Scope::Push), &[TaskUnknown, RevokeTooLate], || {
        web::delete().to(revokes::task)
    }),
    entry("POST", "/v1/endpoints", Key(Scope::Manage), &[EndpointInvalid, EndpointsFull], || {
        web::post().to(endpoints::create)
    }),
    entry("GET", "/v1/endpoints", Key(Scope::Manage), &[], || web::get().to(endpoints::list)),
    entry("GET", "/v1/endpoints/{id}", Key(Scope::Manage), &[EndpointUnknown], || {
        web::get().to(endpoints::read)
    }),
    entry("PATCH", "/v1/endpoints/{id}", Key(Scope::Manage), &[EndpointUnknown, EndpointInvalid], || {
        web::patch().to(endpoints::change)
    }),
    entry("DELETE", "/v1/endpoints/{id}", Key(Scope::Manage), &[EndpointUnknown], || {
        web::delete().to(endpoints::delete)
    }),
    entry(
        "POST",
        "/v1/endpoints/{id}/rotate",
        Key(Scope::Manage),
        &[EndpointUnknown, EndpointInvalid],
        || web::post().to(endpoints::rotate),
    ),
    entry(
        "POST",
        "/v1/endpoints/{id}/replay",
        Key(Scope::Manage),
        &[EndpointUnknown, EndpointDisabled, ReplayRunning, CursorInvalid],
        || web::post().to(endpoints::replay),
    ),
    entry("POST", "/v1/endpoints/{id}/test", Key(Scope::Manage), &[EndpointUnknown], || {
        web::post().to(endpoints::test)
    }),
    entry("GET", "/v1/events", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(events::read)
    }),
    entry("GET", "/v1/analysis", Key(Scope::Read), &[QueryInvalid, RangeTooLarge], || {
        web::get().to(analysis::figures)
    }),
    entry("GET", "/v1/stats", Key(Scope::Read), &[QueryInvalid, RangeTooLarge], || {
        web::get().to(stats::read)
    }),
    entry("GET", "/v1/campaigns", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(campaigns::list)
    }),
    entry("POST", "/v1/campaigns", Key(Scope::Push), CAMPAIGN, || web::post().to(campaigns::create)),
    entry("GET", "/v1/campaigns/{id}", Key(Scope::Read), &[CampaignUnknown], || {
        web::get().to(campaigns::read)
    }),
    entry("GET", "/v1/campaigns/{id}/events", Key(Scope::Read), &[CampaignUnknown, WatchersFull], || {
        web::get().to(campaigns::watch::watch)
    }),
    entry("POST", "/v1/campaigns/{id}/plan", Key(Scope::Push), &[CampaignUnknown], || {
        web::post().to(campaigns::plan)
    }),
    entry("POST", "/v1/campaigns/{id}/apply", Key(Scope::Push), APPLY, || web::post().to(campaigns::apply)),
    entry("POST", "/v1/campaigns/{id}/pause", Key(Scope::Push), TELL, || web::post().to(campaigns::pause)),
    entry("POST", "/v1/campaigns/{id}/resume", Key(Scope::Push), TELL, || web::post().to(campaigns::resume)),
    entry("POST", "/v1/campaigns/{id}/abort", Key(Scope::Push), TELL, || web::post().to(campaigns::abort)),
    entry("POST", "/v1/campaigns/{id}/revoke", Key(Scope::Push), TELL, || web::post().to(campaigns::revoke)),
    entry("GET", "/v1/lists", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(lists::list)
    }),
    entry("POST", "/v1/lists", Key(Scope::Push), &[QueryInvalid, ListInvalid, ListsFull], || {
        web::post().to(lists::upload)
    }),
    entry("GET", "/v1/lists/{id}", Key(Scope::Read), &[ListUnknown], || web::get().to(lists::read)),
    entry("DELETE", "/v1/lists/{id}", Key(Scope::Push), &[ListUnknown, ListInUse], || {
        web::delete().to(lists::delete)
    }),
    entry("GET", "/v1/keys", Key(Scope::Keys), &[], || web::get().to(keys::list)),
    entry("POST", "/v1/keys", Key(Scope::Keys), &[KeyInvalid, KeysFull], || web::post().to(keys::create)),
    entry("PATCH", "/v1/keys/{id}", Key(Scope::Keys), &[KeyUnknown, KeyInvalid, KeyInUse], || {
        web::patch().to(keys::update)
    }),
    entry("DELETE", "/v1/keys/{id}", Key(Scope::Keys), &[KeyUnknown, KeyInUse], || {
        web::delete().to(keys::revoke)
    }),
    entry("POST", "/v1/keys/{id}/rotate", Key(Scope::Keys), &[KeyUnknown, KeyInvalid, KeysFull], || {
        web::post().to(keys::rotate)
    }),
    entry(
        "POST",
        "/v1/templates",
        Key(Scope::Manage),
        &[TemplateInvalid, DataInvalid, TemplateExists, TemplatesFull],
        || web::post().to(templates::create),
    ),
    entry("GET", "/v1/templates", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(templates::list)
    }),
    entry("GET", "/v1/templates/{name}", Key(Scope::Read), &[TemplateUnknown], || {
        web::get().to(templates::read)
    }),
    entry("PUT", "/v1/templates/{name}", Key(Scope::Manage), TEMPLATE, || web::put().to(templates::replace)),
    entry("DELETE", "/v1/templates/{name}", Key(Scope::Manage), &[TemplateUnknown, VersionMismatch], || {
        web::delete().to(templates::delete)
    }),
    entry(
        "POST",
        "/v1/templates/{name}/preview",
        Key(Scope::Read),
        &[TemplateUnknown, VariableMissing],
        || web::post().to(templates::rendered),
    ),
    entry("POST", "/v1/schedules", Key(Scope::Push), SCHEDULE, || web::post().to(schedules::create)),
    entry("GET", "/v1/schedules", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(schedules::list)
    }),
    entry("GET", "/v1/schedules/{id}", Key(Scope::Read), &[ScheduleUnknown], || {
        web::get().to(schedules::read)
    }),
    entry("DELETE", "/v1/schedules/{id}", Key(Scope::Push), &[ScheduleUnknown, ScheduleOver], || {
        web::delete().to(schedules::cancel)
    }),
    entry(
        "DELETE",
        "/v1/schedules/{id}/runs/{run}",
        Key(Scope::Push),
        &[ScheduleUnknown, RunUnknown, ScheduleOver],
        || web::delete().to(schedules::cancel_run),
    ),
    entry("GET", "/v1/runs", Key(Scope::Read), &[QueryInvalid, CursorInvalid], || {
        web::get().to(schedules::runs)
    }),
    entry("GET", "/v1/settings", Key(Scope::Read), &[], || web::get().to(settings::read)),
    entry("PUT", "/v1/settings", Key(Scope::Manage), &[SettingsInvalid, VersionMismatch], || {
        web::put().to(settings::replace)
    }),
    entry("GET", "/v1/settings/callback-key", Key(Scope::Read), &[CallbackKeyUnknown], || {
        web::get().to(settings::callback_key)
    }),
    entry("POST", "/v1/settings/callback-key", Key(Scope::Manage), &[CallbackKeyInvalid], || {
        web::post().to(settings::make_callback_key)
    }),
    entry("GET", "/v1/vendors", Key(Scope::Manage), &[], || web::get().to(vendors::list)),
    entry("GET", "/v1/vendors/{vendor}", Key(Scope::Manage), &[VendorUnknown], || {
        web::get().to(vendors::read)
    }),
    entry(
        "PUT",
        "/v1/vendors/{vendor}",
        Key(Scope::Manage),
        &[VendorUnknown, VendorInvalid, VersionMismatch],
        || web::put().to(vendors::put),
    ),
    entry("DELETE", "/v1/vendors/{vendor}", Key(Scope::Manage), &[VendorUnknown], || {
        web::delete().to(vendors::remove)
    }),
    entry("POST", "/v1/vendors/{vendor}/test", Key(Scope::Manage), VENDOR, || web::post().to(vendors::test)),
    entry("POST", "/v1/vendors/{vendor}/rotate", Key(Scope::Manage), VENDOR, || {
        web::post().to(vendors::rotate)
    }),
    entry("GET", "/v1/vendors/{vendor}/quota", Key(Scope::Read), &[VendorUnknown], || {
        web::get().to(vendors::quota)
    }),
    entry("POST", "/v1/vendor-receipts/{secret}", Anybody, RECEIPT, || web::post().to(vendor_receipts::take)),
    entry("GET", "/v1/audit", Key(Scope::Manage), &[QueryInvalid, CursorInvalid], || {
        web::get().to(audit::read)
    }),
    entry("GET", "/v1/apps", Key(Scope::Operator), &[QueryInvalid], || web::get().to(apps::list)),
    entry("POST", "/v1/apps", Key(Scope::Operator), &[AppInvalid, AppExists], || {
        web::post().to(apps::create)
    }),
    entry("GET", "/v1/apps/{app}/{workspace}", Key(Scope::Operator), &[AppUnknown], || {
        web::get().to(apps::read)
    }),
    entry("PATCH", "/v1/apps/{app}/{workspace}", Key(Scope::Operator), &[AppUnknown, AppInvalid], || {
        web::patch().to(apps::update)
    }),
    entry("POST", "/v1/apps/{app}/{workspace}/client-key", Key(Scope::Operator), &[AppUnknown], || {
        web::post().to(apps::rotate_client_key)
    }),
    entry("GET", "/openapi.json", Anybody, &[], || web::get().to(index::openapi_json)),
    entry("GET", "/errors", Anybody, &[], || web::get().to(index::errors)),
    entry("GET", "/", Anybody, &[], || web::get().to(index::index)),
];

/// Registers every route; on a known path another method is told which ones there are.
pub(super) fn register(config: &mut ServiceConfig) {
    for of_one_path in ROUTES.chunk_by(|one, other| one.path == other.path) {
        let allow = of_one_path.iter().map(|entry| entry.method).collect::<Vec<_>>().join(", ");
        let mut resource = web::resource(of_one_path[0].path);
        for entry in of_one_path {
            resource = resource.route((entry.route)());
        }
        config.service(resource.default_service(web::to(move || {
            let mut response = Refused::new(Code::MethodNotAllowed).error_response();
            if let Ok(value) = header::HeaderValue::from_str(&allow) {
                response.headers_mut().insert(header::ALLOW, value);
            }
            std::future::ready(response)
        })));
    }
    config.default_service(web::to(unknown));
}

async fn unknown() -> HttpResponse {
    Refused::new(Code::RouteUnknown).error_response()
}

/// Method and path as labels of a metric: of the table, or `other`.
pub(super) fn label(method: &Method, pattern: &str) -> (&'static str, &'static str) {
    let same_path = || ROUTES.iter().filter(|entry| entry.path == pattern);
    match (same_path().find(|entry| entry.method == method.as_str()), same_path().next()) {
        (Some(entry), _) => (entry.method, entry.path),
        (None, Some(entry)) => ("other", entry.path),
        (None, None) => ("other", "other"),
    }
}

/// Every pair of labels that `label` gives for a request that is answered by a handler.
pub(super) fn labels() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|entry| (entry.method, entry.path)).chain([("other", "other")])
}
