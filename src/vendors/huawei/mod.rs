//! Huawei's HMS Push Kit, v1 and v2: HarmonyOS 3 and 4, EMUI. developer.huawei.com,
//! https-send-api-0000001050986197, is the document.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Huawei;
