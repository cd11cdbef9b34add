//! vivo push: an access token for an MD5 signature; one device by a call of its own, two to a thousand
//! by a saved message and a list. dev.vivo.com.cn is the document (server API 2.9.2, SDK 3.3).

mod answers;
mod call;
mod credential;
mod mapping;

pub(super) use self::call::Vivo;
