//! Huawei's Push Kit v3: HarmonyOS NEXT, 5 and later. Its tokens are not those of HMS, nor is what
//! it wants to be shown. developer.huawei.com, push-scenariozed-api, is the document.

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Harmony;
