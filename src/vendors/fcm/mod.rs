//! Firebase Cloud Messaging, HTTP v1: a request a token, and an access token of Google's in exchange
//! for one signed by the service account. firebase.google.com is the document.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Fcm;
