//! `/v1/vendor-receipts/{secret}`: where vendors tell what became of messages. The address is the
//! credential, so it stands in no log and no answer but the app's own.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::channel::ReceiptPost;

use super::{Code, Refused, State, body};
use crate::vendors::{Turned, thanks};

/// A hundred receipts of Huawei's take 40 KB; a thousand tokens of Xiaomi's, 60.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Take a vendor's receipts
///
/// In whatever form the vendor has, at the address that the app's setup for it shows
/// (`GET /v1/vendors/{vendor}`). Answered as the vendor expects it, before they are acted upon; what comes
/// twice counts once.
#[utoipa::path(post, path = "/v1/vendor-receipts/{secret}", tag = "vendors",
    params(("secret" = String, Path, description = "The part of the address that only the vendor knows")),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, description = "Taken", body = Object)))]
pub(super) async fn take(
    state: web::Data<State>,
    secret: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    // Nobody's address has nothing read.
    let (app, vendor) =
        state.engine.channel_of_receipts(&secret).ok_or_else(|| Refused::new(Code::RouteUnknown))?;
    let patience = Duration::from_millis(state.http.body_timeout.as_millis());
    let bytes = body::read(&request, payload.into_inner(), BODY_BYTES_MAX, patience).await?;
    let signature = request.headers().get("x-huawei-callback-id").and_then(|value| value.to_str().ok());
    let post = ReceiptPost { signature: signature.map(str::to_owned), body: bytes };
    state.ingress.take(&state.engine, app, vendor, &post).map_err(|turned| match turned {
        Turned::Unknown => Refused::new(Code::RouteUnknown),
        Turned::Forged => Refused::new(Code::ReceiptForged),
        Turned::Unreadable => Refused::new(Code::ReceiptInvalid),
        Turned::Full => Refused::new(Code::Busy),
    })?;
    Ok(HttpResponse::Ok().content_type("application/json").body(thanks(vendor)))
}
