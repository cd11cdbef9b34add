//! HONOR Push: Magic UI 4 and later. Huawei's protocol as it was once, in camelCase, with answers of
//! its own. developer.honor.com, document 11002, is the one it follows.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Honor;
