//! Web Push: browsers, each behind a push service of its own. RFC 8030 (the call), RFC 8291 and 8188
//! (what is sent is readable by the browser alone), RFC 8292 (who sends).

mod answers;
mod call;
mod credential;
mod mapping;
mod seal;

pub(super) use self::call::WebPush;
