//! Meizu (Flyme): a signature in every call, a hundred tokens at a time, and an answer that lists the
//! bad ones by their code. MEIZUPUSH/PushAPI's README is the document.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Meizu;
