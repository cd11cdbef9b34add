//! Every stable code of the API. Each is a heading in docs/errors.md.

use actix_web::http::StatusCode;

/// Why a request was refused, for programs. A code never changes its meaning, and its status only
/// with a new version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    RouteUnknown,
    MethodNotAllowed,
    HeaderTooLarge,
    BodyTooLarge,
    BodyTimeout,
    RequestMalformed,
    ContentTypeUnsupported,
    BodyMalformed,
    BodyInvalid,
    QueryInvalid,
    CursorInvalid,

    AuthorizationMissing,
    AuthorizationInvalid,
    ClockSkew,
    SignatureInvalid,
    NonceReplayed,
    NoncesFull,
    BearerRefused,
    ScopeMissing,
    AddressRefused,
    AppDisabled,
    RateLimited,

    DeviceIdInvalid,
    DeviceUnknown,
    DeviceExists,
    AttributeInvalid,
    ChannelUnknown,
    TokenInvalid,
    UserIdInvalid,
    UserUnknown,

    TargetInvalid,
    TargetsTooMany,
    TargetDuplicate,
    ContentMissing,
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

    MessageIdInvalid,
    MessageUnknown,
    RevokeTooLate,
    TaskUnknown,
    RangeTooLarge,

    KeyUnknown,
    KeysFull,
    KeyInUse,
    KeyInvalid,
    AppExists,
    AppInvalid,
    AppUnknown,

    TemplateUnknown,
    TemplateExists,
    TemplateInvalid,
    TemplatesFull,
    ScheduleUnknown,
    RunUnknown,
    ScheduleInvalid,
    SchedulePast,
    ScheduleOver,
    SchedulesFull,
    VersionMismatch,
    SettingsInvalid,
    CallbackKeyUnknown,
    CallbackKeyInvalid,
    PushApiOff,
    VendorUnknown,
    VendorInvalid,
    ReceiptForged,
    ReceiptInvalid,

    CampaignUnknown,
    CampaignInvalid,
    CampaignState,
    CampaignsFull,
    PlanChanged,
    PlanBroken,
    WatchersFull,

    ListUnknown,
    ListInvalid,
    ListInUse,
    ListsFull,
    AudienceInvalid,
    TagInvalid,
    TagUnknown,
    TagsFull,
    EndpointUnknown,
    EndpointInvalid,
    EndpointsFull,
    EndpointDisabled,
    ReplayRunning,

    Busy,
    Unavailable,
    OutcomeUnknown,
    DiskFull,
    Internal,
}

impl Code {
    /// In the order of their declaration.
    pub const ALL: &[Self] = &[
        Self::RouteUnknown,
        Self::MethodNotAllowed,
        Self::HeaderTooLarge,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::RequestMalformed,
        Self::ContentTypeUnsupported,
        Self::BodyMalformed,
        Self::BodyInvalid,
        Self::QueryInvalid,
        Self::CursorInvalid,
        Self::AuthorizationMissing,
        Self::AuthorizationInvalid,
        Self::ClockSkew,
        Self::SignatureInvalid,
        Self::NonceReplayed,
        Self::NoncesFull,
        Self::BearerRefused,
        Self::ScopeMissing,
        Self::AddressRefused,
        Self::AppDisabled,
        Self::RateLimited,
        Self::DeviceIdInvalid,
        Self::DeviceUnknown,
        Self::DeviceExists,
        Self::AttributeInvalid,
        Self::ChannelUnknown,
        Self::TokenInvalid,
        Self::UserIdInvalid,
        Self::UserUnknown,
        Self::TargetInvalid,
        Self::TargetsTooMany,
        Self::TargetDuplicate,
        Self::ContentMissing,
        Self::VariableMissing,
        Self::PayloadTooLarge,
        Self::DataInvalid,
        Self::TtlOutOfRange,
        Self::LaneInvalid,
        Self::CollapseKeyInvalid,
        Self::VendorOptionsInvalid,
        Self::IdempotencyKeyInvalid,
        Self::IdempotencyInFlight,
        Self::IdempotencyMismatch,
        Self::QueueFull,
        Self::BroadcastsFull,
        Self::Offline,
        Self::MessageIdInvalid,
        Self::MessageUnknown,
        Self::RevokeTooLate,
        Self::TaskUnknown,
        Self::RangeTooLarge,
        Self::KeyUnknown,
        Self::KeysFull,
        Self::KeyInUse,
        Self::KeyInvalid,
        Self::AppExists,
        Self::AppInvalid,
        Self::AppUnknown,
        Self::TemplateUnknown,
        Self::TemplateExists,
        Self::TemplateInvalid,
        Self::TemplatesFull,
        Self::ScheduleUnknown,
        Self::RunUnknown,
        Self::ScheduleInvalid,
        Self::SchedulePast,
        Self::ScheduleOver,
        Self::SchedulesFull,
        Self::VersionMismatch,
        Self::SettingsInvalid,
        Self::CallbackKeyUnknown,
        Self::CallbackKeyInvalid,
        Self::PushApiOff,
        Self::VendorUnknown,
        Self::VendorInvalid,
        Self::ReceiptForged,
        Self::ReceiptInvalid,
        Self::CampaignUnknown,
        Self::CampaignInvalid,
        Self::CampaignState,
        Self::CampaignsFull,
        Self::PlanChanged,
        Self::PlanBroken,
        Self::WatchersFull,
        Self::ListUnknown,
        Self::ListInvalid,
        Self::ListInUse,
        Self::ListsFull,
        Self::AudienceInvalid,
        Self::TagInvalid,
        Self::TagUnknown,
        Self::TagsFull,
        Self::EndpointUnknown,
        Self::EndpointInvalid,
        Self::EndpointsFull,
        Self::EndpointDisabled,
        Self::ReplayRunning,
        Self::Busy,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::DiskFull,
        Self::Internal,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same sentence for every occurrence; what is particular stands in `detail`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Seconds after which a retry makes sense by itself, when it does.
    #[must_use]
    pub const fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::Busy | Self::IdempotencyInFlight | Self::QueueFull | Self::RateLimited => Some(1),
            Self::Unavailable | Self::OutcomeUnknown | Self::DiskFull => Some(5),
            Self::NoncesFull | Self::WatchersFull | Self::BroadcastsFull => Some(10),
            _ => None,
        }
    }

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::RouteUnknown => ("route_unknown", 404, "There is nothing at this path"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "This path does not take this method"),
            Self::HeaderTooLarge => ("header_too_large", 431, "Request line and headers are too long"),
            Self::BodyTooLarge => ("body_too_large", 413, "The body is too long"),
            Self::BodyTimeout => ("body_timeout", 408, "The body took too long to arrive"),
            Self::RequestMalformed => ("request_malformed", 400, "The request cannot be read"),
            Self::ContentTypeUnsupported => {
                ("content_type_unsupported", 415, "The body must be application/json, uncompressed")
            }
            Self::BodyMalformed => ("body_malformed", 400, "The body is not JSON"),
            Self::BodyInvalid => ("body_invalid", 400, "The body is not what this request takes"),
            Self::QueryInvalid => ("query_invalid", 400, "The query is not what this request takes"),
            Self::CursorInvalid => ("cursor_invalid", 400, "The cursor is none that a page gave"),
            _ => self.row_of_who(),
        }
    }

    const fn row_of_who(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::AuthorizationMissing => ("authorization_missing", 401, "The request is not signed"),
            Self::AuthorizationInvalid => {
                ("authorization_invalid", 401, "The Authorization header cannot be read")
            }
            Self::ClockSkew => ("clock_skew", 401, "The request's time is too far from the server's"),
            Self::SignatureInvalid => ("signature_invalid", 401, "The signature does not match"),
            Self::NonceReplayed => ("nonce_replayed", 401, "The nonce has been used before"),
            Self::NoncesFull => ("nonces_full", 429, "No more nonces can be remembered now"),
            Self::BearerRefused => (
                "bearer_refused",
                401,
                "Bearer is taken over TLS or loopback only, from a key that allows it",
            ),
            Self::ScopeMissing => ("scope_missing", 403, "The key may not do this"),
            Self::AddressRefused => ("address_refused", 403, "The key may not be used from this address"),
            Self::AppDisabled => ("app_disabled", 403, "The app is disabled"),
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            _ => self.row_of_what(),
        }
    }

    const fn row_of_what(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::DeviceIdInvalid => ("device_id_invalid", 400, "The device id is not well formed"),
            Self::DeviceUnknown => ("device_unknown", 404, "There is no such device"),
            Self::DeviceExists => ("device_exists", 409, "A device of this id is registered already"),
            Self::AttributeInvalid => ("attribute_invalid", 400, "A device's attribute is not well formed"),
            Self::ChannelUnknown => ("channel_unknown", 404, "No such channel"),
            Self::TokenInvalid => ("token_invalid", 400, "The token cannot be one"),
            Self::UserIdInvalid => ("user_id_invalid", 400, "The user id is not well formed"),
            Self::UserUnknown => ("user_unknown", 404, "There is no such user"),
            Self::MessageIdInvalid => ("message_id_invalid", 400, "The message id is not a UUID"),
            Self::MessageUnknown => ("message_unknown", 404, "There is no such message"),
            Self::TaskUnknown => ("task_unknown", 404, "There is no such task"),
            Self::RevokeTooLate => ("revoke_too_late", 409, "It was pushed too long ago to be revoked"),
            Self::RangeTooLarge => ("range_too_large", 400, "The answer would be too long"),
            Self::KeyUnknown => ("key_unknown", 404, "There is no such key"),
            Self::KeysFull => ("keys_full", 409, "The app has as many live keys as it may have"),
            Self::KeyInUse => ("key_in_use", 409, "A key cannot shut itself out"),
            Self::KeyInvalid => ("key_invalid", 400, "The key is not well formed"),
            Self::AppExists => ("app_exists", 409, "The app exists already"),
            Self::AppInvalid => ("app_invalid", 400, "The app's name is not well formed"),
            Self::Busy => ("busy", 503, "A queue is full; nothing was done"),
            Self::Unavailable => ("unavailable", 503, "The store takes nothing now; nothing was done"),
            Self::OutcomeUnknown => ("outcome_unknown", 503, "It may or may not have been done"),
            Self::DiskFull => ("disk_full", 507, "The disk is full; nothing was done"),
            Self::Internal => ("internal", 500, "Something failed in the server"),
            _ => self.row_of_owner(),
        }
    }

    const fn row_of_owner(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::AppUnknown => ("app_unknown", 404, "There is no such app"),
            Self::TemplateUnknown => ("template_unknown", 404, "There is no such template"),
            Self::TemplateExists => ("template_exists", 409, "A template of this name exists already"),
            Self::TemplateInvalid => ("template_invalid", 400, "The template is not well formed"),
            Self::TemplatesFull => ("templates_full", 409, "The app has as many templates as it may have"),
            Self::VersionMismatch => ("version_mismatch", 412, "It was changed meanwhile"),
            Self::SettingsInvalid => ("settings_invalid", 400, "The settings are not well formed"),
            Self::CallbackKeyUnknown => ("callback_key_unknown", 404, "There is no callback key yet"),
            Self::CallbackKeyInvalid => ("callback_key_invalid", 400, "It is no RSA key that can sign"),
            Self::VendorUnknown => ("vendor_unknown", 404, "No such vendor, or no setup for it"),
            Self::VendorInvalid => ("vendor_invalid", 422, "The setup does not fit the vendor"),
            Self::ReceiptForged => ("receipt_forged", 403, "The receipts are not signed by the vendor"),
            Self::ReceiptInvalid => ("receipt_invalid", 400, "These are no receipts of the vendor"),
            Self::PushApiOff => ("push_api_off", 403, "The app's owner has switched pushes by API off"),
            _ => self.row_of_schedule(),
        }
    }

    const fn row_of_schedule(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::ScheduleUnknown => ("schedule_unknown", 404, "There is no such schedule"),
            Self::RunUnknown => ("run_unknown", 404, "The schedule has no such run"),
            Self::ScheduleInvalid => ("schedule_invalid", 400, "The schedule is not well formed"),
            Self::SchedulePast => ("schedule_past", 400, "The schedule lies in the past"),
            Self::ScheduleOver => ("schedule_over", 409, "It has begun, and cannot be cancelled"),
            Self::SchedulesFull => ("schedules_full", 409, "The app has as many schedules as it may have"),
            _ => self.row_of_campaign(),
        }
    }

    const fn row_of_campaign(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::CampaignUnknown => ("campaign_unknown", 404, "There is no such campaign"),
            Self::CampaignInvalid => ("campaign_invalid", 400, "The campaign is not well formed"),
            Self::CampaignState => ("campaign_state", 409, "The campaign's state does not allow it"),
            Self::CampaignsFull => ("campaigns_full", 409, "The app has as many campaigns as it may have"),
            Self::PlanChanged => ("plan_changed", 409, "Content or targets are not those of this plan"),
            Self::PlanBroken => ("plan_broken", 409, "The plan says what would go wrong"),
            Self::WatchersFull => ("watchers_full", 429, "As many watch campaigns as may"),
            Self::ListUnknown => ("list_unknown", 404, "There is no such list"),
            Self::ListInvalid => ("list_invalid", 400, "The list cannot be read"),
            Self::ListInUse => ("list_in_use", 409, "A campaign uses the list"),
            Self::ListsFull => ("lists_full", 409, "The app has as many lists as it may have"),
            Self::AudienceInvalid => ("audience_invalid", 400, "The audience cannot be read"),
            Self::TagInvalid => ("tag_invalid", 400, "The tag is not well formed"),
            Self::TagUnknown => ("tag_unknown", 404, "Nobody has this tag"),
            Self::TagsFull => ("tags_full", 409, "There are as many tags as there may be"),
            _ => self.row_of_receipts(),
        }
    }

    const fn row_of_receipts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::EndpointUnknown => ("endpoint_unknown", 404, "There is no such endpoint"),
            Self::EndpointInvalid => ("endpoint_invalid", 400, "The endpoint is not well formed"),
            Self::EndpointsFull => ("endpoints_full", 409, "The app has as many endpoints as it may have"),
            Self::EndpointDisabled => ("endpoint_disabled", 409, "The endpoint is disabled"),
            Self::ReplayRunning => ("replay_running", 409, "A replay for this endpoint is under way"),
            _ => self.row_of_push(),
        }
    }

    const fn row_of_push(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::TargetInvalid => ("target_invalid", 400, "A push goes to devices, or users, or all"),
            Self::TargetsTooMany => ("targets_too_many", 400, "A push names too many targets"),
            Self::TargetDuplicate => ("target_duplicate", 400, "A push names a target twice"),
            Self::ContentMissing => ("content_missing", 400, "A push without title, body and data"),
            Self::VariableMissing => ("variable_missing", 400, "A placeholder has no value"),
            Self::PayloadTooLarge => ("payload_too_large", 413, "Title, body and data are too long"),
            Self::DataInvalid => ("data_invalid", 400, "The data is not a JSON object of bounded depth"),
            Self::TtlOutOfRange => ("ttl_out_of_range", 400, "The validity is longer than allowed"),
            Self::LaneInvalid => ("lane_invalid", 400, "The lane is not one that a caller may choose"),
            Self::VendorOptionsInvalid => {
                ("vendor_options_invalid", 400, "What the push says to vendors is not well formed")
            }
            Self::CollapseKeyInvalid => ("collapse_key_invalid", 400, "The collapse key is not well formed"),
            Self::IdempotencyKeyInvalid => {
                ("idempotency_key_invalid", 400, "The Idempotency-Key is not well formed")
            }
            Self::IdempotencyInFlight => {
                ("idempotency_in_flight", 409, "A request with this Idempotency-Key is being answered")
            }
            Self::IdempotencyMismatch => {
                ("idempotency_mismatch", 422, "This Idempotency-Key came with another body before")
            }
            Self::QueueFull => ("queue_full", 429, "As much waits there as may wait"),
            Self::BroadcastsFull => ("broadcasts_full", 429, "The app has as many live broadcasts as it may"),
            Self::Offline => ("offline", 409, "Nobody is online, and the push was for who is online now"),
            _ => ("internal", 500, "Something failed in the server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_has_every_code_once_in_order() {
        for (place, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{code:?}");
        }
        assert_eq!(Code::ALL.len(), Code::Internal as usize + 1);
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len(), "two codes of one name, or one without a row");
    }

    #[test]
    fn every_refusal_that_invites_a_retry_says_when() {
        for code in Code::ALL {
            let invites = matches!(code.status().as_u16(), 429 | 503 | 507);
            assert!(!invites || code.retry_after_s().is_some(), "{code:?}");
        }
    }
}
