//! One road's receipts on their way: what its `Course` says, done.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use carillon_sdk::api::EventView;
use carillon_sdk::{MessageId, Timestamp};
use metrics::{counter, gauge};
use tokio::sync::watch;

use super::course::{Course, Effect, Event, Why};
use super::endpoint::{CALLBACK, Endpoint, Endpoints, Progress, Replay, forget, put, read};
use super::letter::{self, CALLBACK_EVENTS};
use super::{Answer, Post};
use crate::engine::{Engine, Shared};
use crate::model::App;
use crate::names;
use crate::settings::Signer;
use crate::store::{Audit, Changed, Expect, FeedCursor, FeedFrom, FeedQuery, Kind, Origin};

/// Events read at once, and of a batch at most.
const EVENTS_MAX: usize = 100;

/// A road on which nothing happens looks, and says how far history has come, so often: else its
/// place would one day be older than what is kept.
const IDLE: Duration = Duration::from_secs(3600);

/// Before what ends a road is tried again to be written.
const END_AGAIN: Duration = Duration::from_secs(5);

/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 256;

/// Something to deliver, until it ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    /// Where its progress lies.
    pub(super) id: String,
    road: Road,
}

#[derive(Debug, Clone, PartialEq)]
enum Road {
    Endpoint(Endpoint),
    Replay(Endpoint, Replay),
    Callback {
        url: String,
    },
    /// A callback that was turned off: its place is forgotten, so that it begins anew.
    Forgotten,
}

/// What an app has to deliver now.
pub(super) fn jobs(shared: &Arc<Shared>, app: App) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (_, stored) in shared.store.objects(app, Kind::Endpoint, None, usize::MAX) {
        let Some(endpoint) = read::<Endpoint>(&stored.bytes) else { continue };
        if endpoint.disabled.is_some() {
            continue;
        }
        let road = endpoint.road();
        if let Some(replay) = endpoint.replay {
            jobs.push(Job { id: replay.id.clone(), road: Road::Replay(road.clone(), replay) });
        }
        jobs.push(Job { id: road.id.clone(), road: Road::Endpoint(road) });
    }
    let callback = Engine::of(shared).settings(app).callback;
    match callback.url.filter(|_| callback.enabled) {
        Some(url) => jobs.push(Job { id: CALLBACK.to_owned(), road: Road::Callback { url } }),
        None if shared.store.object(app, Kind::Receipt, CALLBACK).is_some() => {
            jobs.push(Job { id: CALLBACK.to_owned(), road: Road::Forgotten });
        }
        None => {}
    }
    jobs
}

/// Does a job until it ends.
pub(super) async fn run(shared: Arc<Shared>, app: App, job: Job) {
    if job.road == Road::Forgotten {
        let changes = vec![forget(Kind::Receipt, &job.id)];
        if let Err(error) = shared.store.change(app, changes, None, None).await {
            tracing::warn!(%error, "a callback's place was not forgotten");
        }
        return;
    }
    let Some(mut delivery) = Delivery::begin(shared, app, job).await else { return };
    let mut event = Event::Begin;
    loop {
        let (now, thrown) = (delivery.shared.clock.now(), delivery.shared.throw());
        event = match delivery.course.step(event, now, thrown) {
            Effect::Read => delivery.read().await,
            Effect::Send => delivery.send().await,
            Effect::Save => match delivery.save().await {
                Some(event) => event,
                None => return,
            },
            Effect::Rest(span) => {
                tokio::time::sleep(Duration::from_millis(span.as_millis())).await;
                Event::Rested
            }
            Effect::Await => delivery.news().await,
            Effect::End(why) => return delivery.end(why).await,
        };
    }
}

struct Delivery {
    shared: Arc<Shared>,
    app: App,
    job: Job,
    course: Course,
    progress: Progress,
    /// Of the progress as it is stored; none when it is not yet.
    version: Option<u64>,
    saved_at: Timestamp,
    from: FeedFrom,
    query: FeedQuery,
    news: watch::Receiver<()>,
    page: Page,
}

/// What was read, and how much of it was taken.
#[derive(Default)]
struct Page {
    events: Vec<EventView>,
    origins: AHashMap<MessageId, Origin>,
    taken: usize,
    /// Where to go on when all of it is.
    next: Option<FeedCursor>,
    signer: Option<Arc<Signer>>,
}

impl Delivery {
    async fn begin(shared: Arc<Shared>, app: App, job: Job) -> Option<Self> {
        let patience = shared.receipts_config()?.patience;
        let stored = shared.store.object(app, Kind::Receipt, &job.id);
        let progress = stored.as_ref().and_then(|stored| read::<Progress>(&stored.bytes));
        let progress = progress.unwrap_or_else(|| Progress {
            cursor: shared.store.feed_end().encode(app),
            ..Progress::default()
        });
        let types = match &job.road {
            Road::Endpoint(endpoint) | Road::Replay(endpoint, _) => endpoint.events.clone(),
            Road::Callback { .. } | Road::Forgotten => CALLBACK_EVENTS.to_vec(),
        };
        let until = match &job.road {
            Road::Replay(_, replay) => shared.store.feed_cursor(app, &replay.until),
            _ => None,
        };
        let from = shared.store.feed_cursor(app, &progress.cursor).map_or(FeedFrom::Now, FeedFrom::Cursor);
        let is_new = stored.is_none();
        let mut delivery = Self {
            course: Course::new(
                patience,
                matches!(job.road, Road::Replay(..)),
                progress.failing_since,
                progress.attempts,
            ),
            version: stored.map(|stored| stored.version),
            saved_at: shared.clock.now(),
            query: FeedQuery { types, limit: EVENTS_MAX, until },
            news: shared.store.feed_news(app),
            page: Page::default(),
            shared,
            app,
            job,
            progress,
            from,
        };
        // Where it begins is on disk before anything else, or a crash would begin it later.
        while is_new && delivery.version.is_none() {
            if delivery.save().await? == Event::SaveFailed {
                tokio::time::sleep(END_AGAIN).await;
            }
        }
        Some(delivery)
    }

    async fn read(&mut self) -> Event {
        let page = match self.shared.store.events(self.app, self.from.clone(), self.query.clone()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, road = self.job.id, "receipts cannot be read");
                return Event::ReadFailed;
            }
        };
        if page.gap {
            tracing::warn!(
                road = self.job.id,
                "receipts were older than what is kept before they were taken"
            );
        }
        self.show_lag(page.events.first().map(|event| event.at));
        let read = Event::Page { events: !page.events.is_empty(), more: page.more };
        let signer = match self.job.road {
            Road::Callback { .. } => Engine::of(&self.shared).callback_signer(self.app).map(Arc::new),
            _ => None,
        };
        if page.events.is_empty() {
            self.go_on(page.cursor);
        } else {
            let (events, origins) = (page.events, page.origins);
            self.page = Page { events, origins, taken: 0, next: Some(page.cursor), signer };
        }
        read
    }

    fn go_on(&mut self, cursor: FeedCursor) {
        self.progress.cursor = cursor.encode(self.app);
        self.from = FeedFrom::Cursor(cursor);
    }

    async fn send(&mut self) -> Event {
        let Some(gateway) = self.shared.gateway() else { return Event::NotTaken { retry_after: None } };
        let gateway = Arc::clone(gateway);
        let (count, post) = match self.letter().await {
            Ok(letter) => letter,
            Err(why) => return self.not_taken(why, None),
        };
        match gateway.post(post).await {
            Answer::Taken => {
                self.count("taken");
                counter!(names::RECEIPT_EVENTS, "road" => self.kind()).increment(count as u64);
                self.page.taken += count;
                let left = self.page.taken < self.page.events.len();
                if !left && let Some(next) = self.page.next.take() {
                    self.go_on(next);
                    self.progress.last_error = None;
                    self.progress.delivered_at = Some(self.shared.clock.now());
                }
                Event::Taken { left }
            }
            Answer::Gone => {
                self.count("gone");
                self.progress.last_error = Some("it answered 410".to_owned());
                Event::Gone
            }
            Answer::Failed { why, retry_after } => self.not_taken(&why, retry_after),
        }
    }

    fn not_taken(&mut self, why: &str, retry_after: Option<carillon_sdk::Ttl>) -> Event {
        self.count("failed");
        self.show_lag(self.page.events.get(self.page.taken).map(|event| event.at));
        tracing::debug!(road = self.job.id, why, "receipts were not taken");
        self.progress.last_error = Some(why[..why.floor_char_boundary(ERROR_BYTES_MAX)].to_owned());
        Event::NotTaken { retry_after }
    }

    /// What goes next, and how many events that is.
    async fn letter(&self) -> Result<(usize, Post), &'static str> {
        let events = self.page.events.get(self.page.taken..).unwrap_or_default();
        match &self.job.road {
            Road::Endpoint(endpoint) | Road::Replay(endpoint, _) => {
                let now = self.shared.clock.now();
                let secrets = endpoint.secrets(&self.shared, self.app, now);
                if secrets.is_empty() {
                    return Err("its secret cannot be opened");
                }
                let replay = matches!(self.job.road, Road::Replay(..));
                let (count, body) = letter::batch(&endpoint.id, replay, events);
                let id = letter::batch_id(&self.job.id, &events[..count]);
                Ok((count, letter::signed(&endpoint.url, &id, now, &secrets, body)))
            }
            Road::Callback { url } => {
                let app = self.shared.store.app(self.app).ok_or("the app is gone")?;
                let signer = self.page.signer.clone().ok_or("the callback has no key to sign with")?;
                let event = events.first().ok_or("there is nothing to say")?;
                let body =
                    letter::callback(&app, event, event.message_id.and_then(|id| self.page.origins.get(&id)));
                let url = url.clone();
                // A signature costs a millisecond of a processor, which no arbiter has to give.
                let signed = move || letter::signed_callback(&url, &signer, body);
                let post = tokio::task::spawn_blocking(signed).await.ok().flatten();
                Ok((1, post.ok_or("it cannot be signed")?))
            }
            Road::Forgotten => Err("there is no road"),
        }
    }

    /// None when the road was taken away meanwhile.
    async fn save(&mut self) -> Option<Event> {
        self.progress.failing_since = self.course.failing_since();
        self.progress.attempts = self.course.attempts();
        loop {
            let expect = self.version.map_or(Expect::Absent, Expect::Version);
            let change = put(Kind::Receipt, &self.job.id, expect, &self.progress);
            match self.shared.store.change(self.app, vec![change], None, None).await {
                Ok(Changed::Done(version)) => {
                    self.version = Some(version);
                    self.saved_at = self.shared.clock.now();
                    return Some(Event::Saved);
                }
                // What a former life of this road had under way came after all.
                Ok(Changed::Unexpected(_)) => {
                    self.version =
                        Some(self.shared.store.object(self.app, Kind::Receipt, &self.job.id)?.version);
                }
                Err(error) => {
                    tracing::warn!(%error, road = self.job.id, "the place of receipts was not saved");
                    return Some(Event::SaveFailed);
                }
            }
        }
    }

    async fn news(&mut self) -> Event {
        let idle_ms = u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX);
        if self.shared.clock.now().since(self.saved_at).as_millis() >= idle_ms {
            // If it fails, an hour later is early enough.
            let _ = self.save().await;
        }
        // Nobody tells of news any more when the store is closed; the actor ends then too.
        let _ = tokio::time::timeout(IDLE, self.news.changed()).await;
        Event::News
    }

    /// The road ends, and whoever looks is told why.
    async fn end(&self, why: Why) {
        self.show_lag(None);
        loop {
            let ended = match &self.job.road {
                Road::Endpoint(endpoint) => self.disable(&endpoint.id, why).await,
                Road::Replay(endpoint, replay) => self.end_replay(&endpoint.id, replay, why).await,
                Road::Callback { .. } => self.turn_off(why).await,
                Road::Forgotten => Ok(()),
            };
            match ended {
                Ok(()) => return,
                Err(error) => tracing::warn!(error, road = self.job.id, "the end of a road was not written"),
            }
            tokio::time::sleep(END_AGAIN).await;
        }
    }

    async fn disable(&self, id: &str, why: Why) -> Result<(), String> {
        let audit = self.audit("endpoint.disable", id, why);
        let change = |endpoint: &mut Endpoint| endpoint.disabled = Some(why.as_str().to_owned());
        tracing::warn!(endpoint = id, why = why.as_str(), "an endpoint is disabled");
        done(Endpoints::of(&self.shared, self.app).change(id, change, audit, None).await)
    }

    async fn end_replay(&self, id: &str, replay: &Replay, why: Why) -> Result<(), String> {
        let audit = self.audit("endpoint.replay_end", id, why);
        let change = |endpoint: &mut Endpoint| {
            endpoint.replay = None;
            Ok(vec![forget(Kind::Receipt, &replay.id)])
        };
        done(Endpoints::of(&self.shared, self.app).change_with(id, change, audit, None).await)
    }

    async fn turn_off(&self, why: Why) -> Result<(), String> {
        tracing::warn!(why = why.as_str(), "an app's callback is turned off");
        let audit = self.audit("settings.callback_off", CALLBACK, why);
        let off = |mut settings: crate::settings::Settings| {
            settings.callback.enabled = false;
            settings
        };
        let changed = Engine::of(&self.shared).change_settings(self.app, None, off, audit, None).await;
        changed.map(drop).map_err(|error| error.to_string())
    }

    fn audit(&self, what: &str, object: &str, why: Why) -> Audit {
        let detail = serde_json::json!({ "reason": why.as_str(), "last_error": self.progress.last_error });
        Audit {
            who: "server".to_owned(),
            from: None,
            what: what.to_owned(),
            object: object.to_owned(),
            detail: Some(detail.to_string()),
        }
    }

    const fn kind(&self) -> &'static str {
        match self.job.road {
            Road::Endpoint(_) => "endpoint",
            Road::Replay(..) => "replay",
            Road::Callback { .. } | Road::Forgotten => "callback",
        }
    }

    fn count(&self, result: &'static str) {
        counter!(names::RECEIPT_POSTS, "road" => self.kind(), "result" => result).increment(1);
    }

    /// How old the oldest event is that this road still owes. A replay owes nothing.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a f64, and no lag has 2^52 milliseconds")]
    fn show_lag(&self, oldest: Option<Timestamp>) {
        let road = match &self.job.road {
            Road::Endpoint(endpoint) => endpoint.id.clone(),
            Road::Callback { .. } => format!("{CALLBACK}:{}", self.app.0),
            Road::Replay(..) | Road::Forgotten => return,
        };
        let lag_ms = oldest.map_or(0, |at| self.shared.clock.now().since(at).as_millis());
        gauge!(names::RECEIPT_LAG, "road" => road).set(lag_ms as f64 / 1000.0);
    }
}

fn done<T>(ended: Result<T, super::Error>) -> Result<(), String> {
    match ended {
        // Its owner deleted it: that is an end too.
        Ok(_) | Err(super::Error::Unknown) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::GaveUp => "gave_up",
        }
    }
}
