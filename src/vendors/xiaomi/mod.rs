//! Xiaomi's MiPush: one static key, forms, a thousand regids in a call and one id for all of them.
//! Dead ones of a batch are not in the answer: they come by receipt. dev.mi.com is the document (API
//! pId=1559, codes 1560, limits 1656, overseas 1696, templates 2314).

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Xiaomi;
