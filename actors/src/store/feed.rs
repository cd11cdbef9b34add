//! An app's history as a stream of events, read page by page from a cursor.
//!
//! ```text
//!  partition ──concluded, wake──▶ Feeds ──news──▶ whoever waits
//!  cursor ─▶ the thread that reads files ─▶ records of all partitions, by time ─▶ events, cursor
//! ```
//!
//! A cursor is a place in each partition's history. Events of one partition come in their order, so
//! those of one device do; partitions are merged by time, as far as they have been written. Nothing
//! is given out before its commit: a partition says up to where it has concluded.

use std::io;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_sdk::api::{EventType, EventView, Step};
use carillon_sdk::{MessageId, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::directory::OfApp;
use super::disk::Failed;
use super::history::{Follow, Followed, Position, Reader, Record, Whom, varint};
use super::partition::Partition;
use super::pending::is_repeatable;
use super::port::Job;
use super::tokens;
use super::work::Later;
use super::{Error, Store};
use crate::model::App;

/// Records looked at for one page, of whatever app: some ten milliseconds.
const SCAN_MAX: usize = 20_000;

const VERSION: u8 = 1;

/// Where a reader of an app's events stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedCursor(Vec<Place>);

/// In one partition: the next record, and of a group the first member not yet given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    at: Position,
    member: u32,
}

impl Place {
    /// A group that is to be read in part is read whole.
    const fn end(self) -> Position {
        Position { segment: self.at.segment, offset: self.at.offset + (self.member > 0) as u64 }
    }
}

impl FeedCursor {
    /// As text that means something to nobody but us, for this app alone.
    #[must_use]
    pub fn encode(&self, app: App) -> String {
        let mut bytes = vec![VERSION];
        for place in &self.0 {
            for number in [place.at.segment, place.at.offset, u64::from(place.member)] {
                varint::put(&mut bytes, number);
            }
        }
        let sum = checksum(app, &bytes);
        bytes.extend_from_slice(&sum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str, app: App, partitions: usize) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if body.first() != Some(&VERSION) || *sum != checksum(app, body) {
            return None;
        }
        let mut rest = &body[1..];
        let mut places = Vec::with_capacity(partitions);
        while !rest.is_empty() && places.len() < partitions {
            let at = Position { segment: varint::take(&mut rest)?, offset: varint::take(&mut rest)? };
            places.push(Place { at, member: varint::take(&mut rest)?.try_into().ok()? });
        }
        (places.len() == partitions && rest.is_empty()).then_some(Self(places))
    }
}

/// Over the app too: another app's cursor is none.
fn checksum(app: App, bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&app.0.to_be_bytes());
    hasher.update(bytes);
    hasher.finalize().to_be_bytes()
}

/// Where to begin.
#[derive(Debug, Clone)]
pub enum FeedFrom {
    /// What is kept.
    Oldest,
    /// After all there is.
    Now,
    Time(Timestamp),
    Cursor(FeedCursor),
}

/// What is read, and how much of it.
#[derive(Debug, Clone)]
pub struct FeedQuery {
    /// All when empty.
    pub types: Vec<EventType>,
    /// Events on the page.
    pub limit: usize,
    /// Before this place, in each partition; as far as there is when none.
    pub until: Option<FeedCursor>,
}

#[derive(Debug, Clone)]
pub struct FeedPage {
    pub events: Vec<EventView>,
    pub cursor: FeedCursor,
    /// There is more, or may be: reading on at once makes sense.
    pub more: bool,
    /// History between the cursor given and these events is no longer kept.
    pub gap: bool,
    /// What is known of the messages beyond their records.
    pub origins: AHashMap<MessageId, Origin>,
}

/// How a message came to be, known of one with a key (the caller's or an idempotent request's) for
/// as long as a retry would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The caller's own name for it.
    pub key: Option<String>,
    pub accepted_at: Timestamp,
    /// Whom it was for, when that was one user.
    pub user: Option<UserId>,
}

/// Who waits for an app's next event.
#[derive(Default)]
pub(super) struct Feeds(Mutex<AHashMap<App, watch::Sender<()>>>);

impl Feeds {
    fn subscribe(&self, app: App) -> watch::Receiver<()> {
        self.0.lock().entry(app).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    pub(super) fn wake(&self, app: App) {
        let mut feeds = self.0.lock();
        match feeds.get(&app) {
            Some(feed) if feed.receiver_count() > 0 => feed.send_replace(()),
            Some(_) => drop(feeds.remove(&app)),
            None => {}
        }
    }

    fn wake_all(&self) {
        self.0.lock().values().for_each(|feed| feed.send_replace(()));
    }
}

impl Store {
    /// The cursor that a text names, if it is one of this app's.
    #[must_use]
    pub fn feed_cursor(&self, app: App, text: &str) -> Option<FeedCursor> {
        FeedCursor::decode(text, app, self.0.shared.ports.len())
    }

    /// Marked when the app has a new event, or the server stops. Marked from the beginning on: what
    /// came before the subscription is not missed.
    #[must_use]
    pub fn feed_news(&self, app: App) -> watch::Receiver<()> {
        let mut news = self.0.shared.feeds.subscribe(app);
        news.mark_changed();
        news
    }

    /// Lets whoever waits look again: the server stops.
    pub fn wake_feeds(&self) {
        self.0.shared.feeds.wake_all();
    }

    /// After all events there are.
    #[must_use]
    pub fn feed_end(&self) -> FeedCursor {
        FeedCursor(self.concluded().into_iter().map(|at| Place { at, member: 0 }).collect())
    }

    fn concluded(&self) -> Vec<Position> {
        self.0.shared.ports.iter().map(|port| *port.concluded.lock()).collect()
    }

    /// The next events of an app.
    pub async fn events(&self, app: App, from: FeedFrom, query: FeedQuery) -> Result<FeedPage, Error> {
        let Some(people) = self.0.shared.tenants.get(app) else { return Err(Error::Unavailable) };
        let mut ends = self.concluded();
        if let Some(until) = &query.until {
            ends.iter_mut().zip(&until.0).for_each(|(end, until)| *end = until.end().min(*end));
        }
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |readers| {
            let places = begin(readers, &from, &ends);
            let page = places.and_then(|places| {
                let mut reading = Reading::new(readers, app, &people, &places, &ends);
                reading.page(&query)
            });
            // Whoever asked may have gone.
            let _ = reply.send(page.map_err(|error| {
                metrics::counter!("carillon_store_errors_total", "op" => "feed", "reason" => "io")
                    .increment(1);
                tracing::error!(%error, "history cannot be read");
                Error::Unavailable
            }));
        });
        self.read_files(job)?;
        let mut page = answer.await.unwrap_or(Err(Error::Unavailable))?;
        page.origins = self.origins(app, &page.events).await?;
        for event in &mut page.events {
            if let Some(origin) = event.message_id.and_then(|id| page.origins.get(&id)) {
                event.key.clone_from(&origin.key);
                event.user_id = event.user_id.take().or_else(|| origin.user.clone());
            }
        }
        Ok(page)
    }

    /// Looked up where the messages were put, which is in any partition.
    async fn origins(&self, app: App, events: &[EventView]) -> Result<AHashMap<MessageId, Origin>, Error> {
        let derived = events.iter().filter_map(|event| event.message_id).filter(|id| is_repeatable(*id));
        let ids: Vec<_> = derived.collect::<AHashSet<_>>().into_iter().collect();
        let mut origins = AHashMap::new();
        if ids.is_empty() {
            return Ok(origins);
        }
        for partition in 0..self.0.shared.ports.len() {
            let asked = ids.clone();
            let found = self.ask(partition, app, |reply| Later::Origins { app, ids: asked, reply }).await?;
            for (id, origin) in ids.iter().zip(found) {
                if let Some(origin) = origin {
                    origins.entry(*id).or_insert(origin);
                }
            }
        }
        Ok(origins)
    }
}

impl Partition {
    pub(super) fn origin(&self, app: App, id: MessageId) -> Result<Option<Origin>, Failed> {
        let row = self.pending.repeat(&self.rows, id)?;
        if row.places.is_empty() {
            return Ok(None);
        }
        let mut users = row.places.iter().flat_map(|(_, owners)| &owners.users);
        let user = match (users.next(), users.next()) {
            (Some(user), None) => self.people(app).and_then(|people| people.user_id(*user)),
            _ => None,
        };
        Ok(Some(Origin { key: row.key, accepted_at: row.accepted_at, user }))
    }
}

fn begin(readers: &[Reader], from: &FeedFrom, ends: &[Position]) -> io::Result<Vec<Place>> {
    let place = |at| Place { at, member: 0 };
    Ok(match from {
        FeedFrom::Oldest => readers.iter().map(|_| Place::default()).collect(),
        FeedFrom::Now => ends.iter().copied().map(place).collect(),
        FeedFrom::Cursor(cursor) => cursor.0.clone(),
        FeedFrom::Time(since) => {
            let places = readers.iter().zip(ends).map(|(reader, end)| reader.place_of(*since, *end));
            places.map(|at| at.map(place)).collect::<Result<_, _>>()?
        }
    })
}

/// One page in the making.
struct Reading<'a> {
    app: App,
    people: &'a Arc<OfApp>,
    sources: Vec<Source>,
    budget: usize,
    page: Vec<EventView>,
}

/// One partition's share of it.
struct Source {
    follow: Follow,
    /// The next record, read and not yet given.
    head: Option<(Position, Box<Record>)>,
    /// Of the head's group, the first member not yet given.
    member: u32,
    entered: Place,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(
        readers: &[Reader],
        app: App,
        people: &'a Arc<OfApp>,
        places: &[Place],
        ends: &[Position],
    ) -> Self {
        let sources = readers.iter().zip(places).zip(ends).map(|((reader, place), end)| Source {
            follow: reader.follow(place.at, *end),
            head: None,
            member: 0,
            entered: *place,
            ended: false,
        });
        Self { app, people, sources: sources.collect(), budget: SCAN_MAX, page: Vec::new() }
    }

    fn page(&mut self, query: &FeedQuery) -> io::Result<FeedPage> {
        let mut more = false;
        while let Some(no) = self.earliest(&mut more)? {
            if !self.give(no, query) {
                more = true;
                break;
            }
        }
        Ok(FeedPage {
            cursor: FeedCursor(self.sources.iter().map(Source::place).collect()),
            gap: self.sources.iter().any(|source| source.follow.has_gap()),
            events: std::mem::take(&mut self.page),
            more,
            origins: AHashMap::new(),
        })
    }

    /// The partition whose next record is the earliest. None when all are read, or the budget is
    /// spent before each has shown its next.
    fn earliest(&mut self, more: &mut bool) -> io::Result<Option<usize>> {
        for source in &mut self.sources {
            if source.ended || source.head.is_some() {
                continue;
            }
            match source.follow.next(self.app, &mut self.budget)? {
                Followed::Record(at, record) => {
                    source.member = if at == source.entered.at { source.entered.member } else { 0 };
                    source.head = Some((at, record));
                }
                Followed::End => source.ended = true,
                Followed::Spent => {
                    *more = true;
                    return Ok(None);
                }
            }
        }
        let heads = self.sources.iter().enumerate();
        let heads = heads.filter_map(|(no, source)| source.head.as_ref().map(|(_, record)| (record.at, no)));
        Ok(heads.min().map(|(_, no)| no))
    }

    /// Gives out a partition's next record; false when the page is full before it is through.
    fn give(&mut self, no: usize, query: &FeedQuery) -> bool {
        let source = &mut self.sources[no];
        let Some((at, record)) = &source.head else { return true };
        let kind = event_type(record.step);
        let wanted = kind.filter(|kind| query.types.is_empty() || query.types.contains(kind));
        if let Some(kind) = wanted {
            let mut members: Box<dyn Iterator<Item = u32>> = match &record.whom {
                Whom::Device(ordinal) | Whom::User(ordinal) => Box::new(std::iter::once(*ordinal)),
                Whom::Group(devices) => Box::new(devices.range(source.member..)),
            };
            let before = self.page.len();
            for member in members.by_ref() {
                if self.page.len() >= query.limit {
                    // Of a group of which nothing was given nothing is passed over.
                    if self.page.len() > before {
                        source.member = member;
                    }
                    return false;
                }
                let id = format!("evt-{no:x}-{:x}-{:x}-{member:x}", at.segment, at.offset);
                self.page.push(view(id, kind, record, member, self.people));
            }
        }
        source.head = None;
        true
    }
}

impl Source {
    /// Where to go on.
    fn place(&self) -> Place {
        match &self.head {
            Some((at, _)) => Place { at: *at, member: self.member },
            None => Place { at: self.follow.at(), member: 0 },
        }
    }
}

fn view(id: String, kind: EventType, record: &Record, member: u32, people: &OfApp) -> EventView {
    let is_user = matches!(record.whom, Whom::User(_));
    let of_token = tokens::dead_token(record);
    EventView {
        id,
        kind,
        at: record.at,
        message_id: of_token.is_none().then_some(record.id),
        task: record.task.map(|task| task.to_string()),
        device_id: if is_user { None } else { people.device_id(member) },
        platform: record.platform,
        key: None,
        user_id: if is_user { people.user_id(member) } else { None },
        push_type: of_token.as_ref().map_or(record.push_type.as_str(), |_| "").to_owned(),
        channel: record.channel.as_str().to_owned(),
        reason: match of_token {
            Some(_) => record.detail.as_deref().map(str::to_owned),
            None => record.reason.map(|reason| reason.as_str().to_owned()),
        },
        detail: record.detail.as_deref().filter(|_| of_token.is_none()).map(str::to_owned),
        token_digest: of_token,
    }
}

/// None of what is told in a story alone.
const fn event_type(step: Step) -> Option<EventType> {
    Some(match step {
        Step::Accepted => EventType::Accepted,
        Step::Sent => EventType::Sent,
        Step::Delivered | Step::Confirmed => EventType::Arrived,
        Step::HandedOver => EventType::HandedOver,
        Step::Routed | Step::Refused => return None,
        Step::TokenInvalidated => EventType::TokenInvalidated,
        Step::Shown => EventType::Shown,
        Step::Opened => EventType::Opened,
        Step::Dismissed => EventType::Dismissed,
        Step::Expired => EventType::Expired,
        Step::Replaced => EventType::Replaced,
        Step::Revoked => EventType::Revoked,
        Step::Rejected => EventType::Rejected,
    })
}
