//! A refusal on its way to the caller: `application/problem+json`, RFC 9457.
//!
//! A handler returns [`Refused`]. Its body is written by `manners`, which alone knows the request id.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use carillon_actors::engine::Refusal;
use carillon_actors::store;
use carillon_sdk::api::campaigns::CampaignPlan;
use carillon_sdk::api::{Problem, ProblemAt, TargetAnswer};

use super::Code;

/// Why a request is not obeyed.
#[derive(Debug, Clone)]
pub struct Refused(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: String,
    at: Vec<ProblemAt>,
    targets: Vec<TargetAnswer>,
    plan: Option<CampaignPlan>,
    retry_after_s: Option<u64>,
    replayed: bool,
}

impl Refused {
    pub(super) fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            detail: String::new(),
            at: Vec::new(),
            targets: Vec::new(),
            plan: None,
            retry_after_s: code.retry_after_s(),
            replayed: false,
        }))
    }

    /// What is particular to this occurrence, in words for a developer.
    pub(super) fn because(code: Code, detail: impl Into<String>) -> Self {
        let mut refused = Self::new(code);
        refused.0.detail = detail.into();
        refused
    }

    /// The same, with the place in the body as a JSON pointer.
    pub(super) fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut refused = Self::because(code, detail);
        let detail = refused.0.detail.clone();
        refused.0.at.push(ProblemAt { pointer: pointer.into(), detail });
        refused
    }

    /// The same with one more place.
    pub(super) fn and_at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.at.push(ProblemAt { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// The same of a body that stands in another at `pointer`.
    pub(super) fn within(mut self, pointer: &str) -> Self {
        for at in &mut self.0.at {
            at.pointer.insert_str(0, pointer);
        }
        self
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// For a push of which no target was accepted.
    pub(super) fn with_targets(mut self, targets: Vec<TargetAnswer>, replayed: bool) -> Self {
        self.0.targets = targets;
        self.0.replayed = replayed;
        self
    }

    /// The plan as it is now, for one that was named and is no more.
    pub(super) fn with_plan(mut self, plan: CampaignPlan) -> Self {
        self.0.plan = Some(plan);
        self
    }

    #[must_use]
    pub const fn code(&self) -> Code {
        self.0.code
    }

    /// The body, but for the request id.
    fn problem(&self) -> Problem {
        let code = self.0.code;
        Problem {
            kind: format!("/errors#{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            code: code.as_str().to_owned(),
            detail: self.0.detail.clone(),
            request_id: String::new(),
            errors: self.0.at.clone(),
            targets: self.0.targets.clone(),
            plan: self.0.plan.clone().map(Box::new),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if let Some(seconds) = self.0.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.0.replayed {
            response.insert_header(("Idempotent-Replayed", "true"));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("CARILLON1-HMAC-SHA256, Bearer");
            response.insert_header((header::WWW_AUTHENTICATE, schemes));
        }
        let mut response = response.finish();
        response.extensions_mut().insert(self.problem());
        response
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(match refusal {
            Refusal::Busy => Code::Busy,
            Refusal::Unavailable => Code::Unavailable,
            Refusal::Unknown => Code::OutcomeUnknown,
            Refusal::DiskFull => Code::DiskFull,
            Refusal::IdempotencyInFlight => Code::IdempotencyInFlight,
            Refusal::IdempotencyMismatch => Code::IdempotencyMismatch,
            Refusal::ValueMissing => Code::VariableMissing,
            Refusal::BroadcastsFull => Code::BroadcastsFull,
            Refusal::DeviceUnknown => Code::DeviceUnknown,
            Refusal::AppDisabled => Code::AppDisabled,
        })
    }
}

impl Refused {
    /// A store's error; `exists` is what its `Exists` means for this request.
    pub(super) fn by_store(error: &store::Error, exists: Code) -> Self {
        Self::new(match error {
            store::Error::Full => Code::Busy,
            store::Error::Unavailable => Code::Unavailable,
            store::Error::Unknown => Code::OutcomeUnknown,
            store::Error::DiskFull => Code::DiskFull,
            store::Error::DeviceUnknown => Code::DeviceUnknown,
            store::Error::Exists => exists,
        })
    }
}
