//! Refusals as Alibaba's gateway words them: a status of 4xx or 5xx, and a body that every generation
//! of the SDK turns into its exception. A business failure is none of these: see `result`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use carillon_actors::engine::Refusal;
use carillon_actors::store;
use serde_json::{Value, json};

/// Why the gateway refuses. The name on the wire is what clients compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MissingAccessKeyId,
    KeyNotFound,
    KeyInactive,
    SignatureDoesNotMatch,
    IncompleteSignature,
    UnsupportedSignature,
    SecurityToken,
    TimestampExpired,
    TimestampFormat,
    NonceUsed,
    ActionNotFound,
    Version,
    MissingAppId,
    MissingWorkspaceId,
    InvalidParameter,
    NoPermission,
    AddressRefused,
    AppDisabled,
    ThrottlingUser,
    Throttling,
    BodyTooLarge,
    BodyTimeout,
    PathNotFound,
    MethodNotAllowed,
    HeaderTooLarge,
    Malformed,
    ServiceUnavailable,
    Internal,
}

impl Kind {
    pub(crate) const fn row(self) -> (&'static str, u16) {
        match self {
            Self::MissingAccessKeyId => ("MissingAccessKeyId", 400),
            Self::KeyNotFound => ("InvalidAccessKeyId.NotFound", 404),
            Self::KeyInactive => ("InvalidAccessKeyId.Inactive", 403),
            Self::SignatureDoesNotMatch => ("SignatureDoesNotMatch", 400),
            Self::IncompleteSignature => ("IncompleteSignature", 400),
            Self::UnsupportedSignature => ("UnsupportedSignatureAlgorithm", 400),
            Self::SecurityToken => ("InvalidSecurityToken.NotFound", 400),
            Self::TimestampExpired => ("InvalidTimeStamp.Expired", 400),
            Self::TimestampFormat => ("InvalidTimeStamp.Format", 400),
            Self::NonceUsed => ("SignatureNonceUsed", 400),
            Self::ActionNotFound => ("InvalidAction.NotFound", 404),
            Self::Version => ("InvalidVersion", 400),
            Self::MissingAppId => ("MissingAppId", 400),
            Self::MissingWorkspaceId => ("MissingWorkspaceId", 400),
            Self::InvalidParameter => ("InvalidParameter", 400),
            Self::NoPermission => ("NoPermission", 403),
            Self::AddressRefused => ("Forbidden.SourceIp", 403),
            Self::AppDisabled => ("Forbidden.AppDisabled", 403),
            Self::ThrottlingUser => ("Throttling.User", 429),
            Self::Throttling => ("Throttling", 429),
            Self::BodyTooLarge => ("RequestBodyTooLarge", 413),
            Self::BodyTimeout => ("RequestTimeout", 408),
            Self::PathNotFound => ("InvalidPath.NotFound", 404),
            Self::MethodNotAllowed => ("UnsupportedHTTPMethod", 405),
            Self::HeaderTooLarge => ("RequestHeaderTooLarge", 431),
            Self::Malformed => ("InvalidRequest", 400),
            Self::ServiceUnavailable => ("ServiceUnavailable", 503),
            Self::Internal => ("InternalError", 500),
        }
    }

    /// What anybody can do about it.
    const fn recommend(self) -> &'static str {
        match self {
            Self::Throttling | Self::ThrottlingUser => "Retry after x-acs-retry-after milliseconds.",
            Self::ServiceUnavailable => "Retry later, with the same msgKey.",
            Self::Internal => "Give the RequestId to the operator.",
            _ => "See docs/mpaas.md, Errors.",
        }
    }
}

/// A refusal on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) retry_after_ms: Option<u64>,
    /// On a 403: what was not allowed.
    denied: Option<Value>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None, denied: None }
    }

    /// The old SDK core takes what follows the first colon for the text the server signed.
    pub(crate) fn signature(signed: &str) -> Self {
        let said = "Specified signature is not matched with our calculation. server string to sign is:";
        Self::new(Kind::SignatureDoesNotMatch, format!("{said}{signed}"))
    }

    /// A bucket or queue is full. The SDK takes the number as milliseconds.
    pub(crate) fn throttling(kind: Kind, message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms.max(1)), ..Self::new(kind, message) }
    }

    pub(crate) fn forbidden(action: &str, key: &str, missing: &str) -> Self {
        let denied = json!({
            "AuthAction": format!("mpaas:{action}"),
            "AuthPrincipalDisplayName": key,
            "AuthPrincipalType": "AccessKey",
            "NoPermissionType": "ImplicitDeny",
            "PolicyType": "KeyScope",
            "EncodedDiagnosticMessage": "",
        });
        let message = format!("The key has not the scope {missing:?}, which {action} needs.");
        Self { denied: Some(denied), ..Self::new(Kind::NoPermission, message) }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::ServiceUnavailable, message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn code(&self) -> &'static str {
        self.kind.row().0
    }

    pub(crate) fn body(&self, request_id: &str, host: &str) -> Value {
        let mut body = json!({
            "RequestId": request_id,
            "HostId": host,
            "Code": self.code(),
            "Message": self.message,
            "Recommend": self.kind.recommend(),
        });
        if let Some(denied) = &self.denied {
            body["AccessDeniedDetail"] = denied.clone();
        }
        body
    }

    pub(crate) fn respond(&self, request_id: &str, host: &str) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(ms) = self.retry_after_ms {
            response.insert_header(("x-acs-retry-after", ms.to_string()));
            response.insert_header(("Retry-After", ms.div_ceil(1_000)));
        }
        response.json(self.body(request_id, host))
    }
}

/// How long a caller waits for a queue to have room.
const BUSY_MS: u64 = 1_000;
/// And for a live broadcast to end.
const BROADCASTS_MS: u64 = 10_000;

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy => {
                Self::throttling(Kind::Throttling, "A queue is full; nothing was done.", BUSY_MS)
            }
            Refusal::IdempotencyInFlight => {
                Self::throttling(Kind::Throttling, "The same request is being answered.", BUSY_MS)
            }
            Refusal::BroadcastsFull => {
                let message = "The app has as many live broadcasts as it may.";
                Self::throttling(Kind::Throttling, message, BROADCASTS_MS)
            }
            Refusal::Unavailable => Self::unavailable("The store takes nothing now; nothing was done."),
            Refusal::DiskFull => Self::unavailable("The disk is full; nothing was done."),
            Refusal::Unknown => Self::unavailable("It may or may not have been done."),
            Refusal::IdempotencyMismatch => {
                Self::new(Kind::InvalidParameter, "The same key came with another request before.")
            }
            Refusal::ValueMissing => Self::new(Kind::InvalidParameter, "A placeholder has no value."),
            Refusal::AppDisabled => Self::new(Kind::AppDisabled, "The app is disabled."),
            Refusal::DeviceUnknown => Self::new(Kind::InvalidParameter, "There is no such device."),
        }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Refusal::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_what_each_sdk_reads() {
        let body = Fault::signature("POST&%2F&").body("ID", "host:1");
        assert_eq!(body["Code"], "SignatureDoesNotMatch");
        assert!(body["Message"].as_str().unwrap().ends_with("is:POST&%2F&"), "{body}");
        assert_eq!((&body["RequestId"], &body["HostId"]), (&json!("ID"), &json!("host:1")));
        assert!(body["Recommend"].is_string() && body.get("AccessDeniedDetail").is_none());
        let body = Fault::forbidden("PushSimple", "ck_1", "push").body("ID", "h");
        assert_eq!(body["AccessDeniedDetail"]["AuthAction"], "mpaas:PushSimple");
    }

    #[test]
    fn only_throttling_says_when_to_come_back() {
        let header = |fault: Fault| fault.respond("ID", "h").headers().get("x-acs-retry-after").cloned();
        assert_eq!(header(Refusal::Busy.into()).unwrap(), "1000");
        assert_eq!(header(Fault::throttling(Kind::ThrottlingUser, "slow", 0)).unwrap(), "1");
        assert!(header(Refusal::Unavailable.into()).is_none(), "a 503 with it would read as throttling");
    }
}
