//! `GET /v1/campaigns/{id}/events`: a campaign's progress as it happens, as server-sent events.
//!
//! An event is the campaign's whole view, so nothing is missed by whoever comes late: an event's id is
//! a digest of it, and a watcher who comes back with the last one hears nothing twice.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::engine::{Engine, Readiness};
use carillon_actors::model::{App, Task};
use carillon_sdk::api::Scope;
use carillon_sdk::api::campaigns::CampaignView;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::super::caller::Caller;
use super::super::{Code, Refused, State};
use super::{refused, task};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after which a watcher who heard nothing hears that there is nothing: less than proxies wait.
const HEARTBEAT_LOOKS: u32 = 15;

/// Watch a campaign
///
/// `text/event-stream`: an event `progress` with the campaign, as `GET` shows it, at once and then
/// whenever it has changed, once a second at most; the stream ends when the campaign is over. With
/// the `Last-Event-ID` of an earlier watch nothing is told twice; 204 says that all was told.
#[utoipa::path(get, path = "/v1/campaigns/{id}/events", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "Of the last event heard")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "It is over, and the last event was heard")))]
pub(in super::super) async fn watch(
    state: web::Data<State>,
    request: HttpRequest,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let task = task(&id)?;
    let campaign = state.engine.campaign(app, task).await.map_err(refused)?;
    let heard = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    if campaign.state.is_terminal() && heard == Some(&event(&campaign).id) {
        return Ok(HttpResponse::NoContent().finish());
    }
    let seat = Arc::clone(&state.watchers).try_acquire_owned();
    let seat = seat.map_err(|_| Refused::new(Code::WatchersFull))?;
    let watch = Watch {
        engine: state.engine.clone(),
        app,
        task,
        heard: heard.unwrap_or_default().to_owned(),
        first: true,
        over: false,
        _seat: seat,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // Proxies that gather answers would hold events back.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(stream::unfold(watch, |watch| watch.next())))
}

struct Watch {
    engine: Engine,
    app: App,
    task: Task,
    /// The id of the last event.
    heard: String,
    first: bool,
    over: bool,
    _seat: OwnedSemaphorePermit,
}

struct Event {
    id: String,
    data: String,
}

fn event(campaign: &CampaignView) -> Event {
    // A view is texts, numbers and maps with text keys: it always serializes.
    let data = serde_json::to_string(campaign).unwrap_or_default();
    Event { id: hex::encode(&Sha256::digest(&data)[..8]), data }
}

impl Watch {
    /// The next thing to say; none at the end.
    async fn next(mut self) -> Option<(Result<Bytes, actix_web::Error>, Self)> {
        if self.over {
            return None;
        }
        for _ in 0..HEARTBEAT_LOOKS {
            if !std::mem::take(&mut self.first) {
                tokio::time::sleep(LOOK).await;
            }
            if self.engine.readiness() == Readiness::Draining {
                return None;
            }
            // It was forgotten, or the store cannot be asked: the watcher comes back and is told.
            let campaign = self.engine.campaign(self.app, self.task).await.ok()?;
            let Event { id, data } = event(&campaign);
            if id != self.heard {
                self.over = campaign.state.is_terminal();
                let text = format!("id: {id}\nevent: progress\ndata: {data}\n\n");
                self.heard = id;
                return Some((Ok(Bytes::from(text)), self));
            }
        }
        Some((Ok(Bytes::from_static(b": nothing new\n\n")), self))
    }
}
