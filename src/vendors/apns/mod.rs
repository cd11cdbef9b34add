//! Apple Push Notification service: HTTP/2, one request a token, known by a signed token or by a
//! certificate. "Sending notification requests to APNs" is the document.

mod answers;
mod call;
mod certificate;
mod credential;
mod mapping;

pub(super) use self::call::Apns;
pub(super) use self::credential::Tokens;
