//! OPPO push, of OnePlus and realme too: an access token for a signature, forms with JSON in them,
//! a message of its own for each device of a batch. Devices outside China are another host's, as their
//! registration id tells. open.oppomobile.com is the document.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Oppo;
