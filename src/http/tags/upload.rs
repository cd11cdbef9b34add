//! A tag for all whom a file names: the whole file is looked at first, then members change, a few
//! thousand at a time, in commits they share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use carillon_actors::audience::Ordinals;
use carillon_actors::model::{App, Device, Owner, User};
use carillon_actors::store::{Audit, Error, Nonce, Store, TagChange, Tagged};
use carillon_sdk::api::lists::LineError;
use carillon_sdk::api::tags::{MemberKind, MemberMode, MembersUploaded};
use carillon_sdk::{DeviceId, UserId};
use serde_json::{Value, json};

use super::super::spool::{Form, Items, Split, Spooled, Uploaded, blocking};
use super::super::{Code, Refused, State};

/// Longest item: an id of 256 bytes, each escaped, within an object.
const ITEM_BYTES_MAX: usize = 2_048;

/// Errors that are named.
const ERRORS_MAX: usize = 1_000;

/// Members changed between two looks at the file.
const PART: usize = 4_000;

/// A full intake empties in milliseconds; beyond these tries the store takes nothing.
const TRIES_MAX: u32 = 100;
const WAIT: Duration = Duration::from_millis(50);

pub(super) struct Job {
    pub(super) app: App,
    pub(super) tag: String,
    pub(super) kind: MemberKind,
    pub(super) mode: MemberMode,
    pub(super) skip: bool,
}

/// What the first look found.
#[derive(Default)]
struct Checked {
    good: u64,
    bad: u64,
    errors: Vec<LineError>,
}

pub(super) async fn run(state: &State, job: Job, uploaded: Uploaded) -> Result<MembersUploaded, Refused> {
    let Uploaded { caller, file } = uploaded;
    let store = state.engine.store().clone();
    let job = Arc::new(job);
    if job.mode != MemberMode::Remove && !store.has_room_for_tag(job.app, &job.tag) {
        return Err(super::no_room());
    }
    let checked = {
        let (store, job, file) = (store.clone(), Arc::clone(&job), file.clone());
        blocking(move || check(&store, &job, &file)).await?
    };
    if checked.bad > 0 && !job.skip {
        let detail = format!("{} items cannot be taken; nothing was done", checked.bad);
        let refused = Refused::because(Code::ListInvalid, detail);
        let errors = checked.errors.iter();
        return Err(errors.fold(refused, |refused, error| {
            refused.and_at(format!("/{}", error.line), error.detail.clone())
        }));
    }
    let detail = json!({ "kind": job.kind, "mode": job.mode, "members": checked.good });
    let audit = caller.audit_of("tag.upload", &job.tag, &detail);
    note(state, job.app, audit, caller.nonce()).await?;
    // Whoever hangs up now leaves nothing half done.
    let (members, removed) = to_the_end(async move { carry_out(&store, &job, file).await }).await?;
    Ok(MembersUploaded { members, removed, skipped: checked.bad, errors: checked.errors })
}

/// Writes an audit entry, and the request's nonce with it, before what it tells of begins.
pub(in crate::http) async fn note(
    state: &State,
    app: App,
    audit: Audit,
    nonce: Option<Nonce>,
) -> Result<(), Refused> {
    let noted = state.engine.store().change(app, Vec::new(), Some(audit), nonce).await;
    noted.map(drop).map_err(|error| Refused::by_store(&error, Code::Internal))
}

/// Runs `work` whether or not the caller waits for it.
pub(in crate::http) async fn to_the_end<T: 'static>(
    work: impl Future<Output = Result<T, Refused>> + 'static,
) -> Result<T, Refused> {
    actix_web::rt::spawn(work).await.unwrap_or_else(|_| Err(Refused::new(Code::OutcomeUnknown)))
}

type Reader = Box<dyn io::Read + Send>;

fn items(file: &Spooled) -> Items<Reader> {
    let split = match file.form {
        Form::Lines | Form::Ndjson => Split::Lines,
        Form::Csv => Split::Commas,
    };
    Items::new(Box::new(file.reader()) as Reader, split, ITEM_BYTES_MAX)
}

/// An item's id, and the member when it is known.
fn member(store: &Store, job: &Job, form: Form, text: &str, make: bool) -> Result<Option<Owner>, String> {
    let from_json;
    let id = if form == Form::Ndjson {
        from_json = id_of_json(text, job.kind)?;
        &from_json
    } else {
        text
    };
    match job.kind {
        MemberKind::Devices => {
            let id = DeviceId::parse(id).map_err(|error| error.to_string())?;
            let device = store.device(job.app, &id).ok_or("no such device")?;
            Ok(Some(Owner::Device(device)))
        }
        MemberKind::Users => {
            let id = UserId::parse(id).map_err(|error| error.to_string())?;
            let known = store.known_user(job.app, &id);
            Ok(known.or_else(|| make.then(|| store.user(job.app, &id))).map(Owner::User))
        }
    }
}

fn id_of_json(text: &str, kind: MemberKind) -> Result<String, String> {
    let field = match kind {
        MemberKind::Devices => "device_id",
        MemberKind::Users => "user_id",
    };
    let id = match serde_json::from_str(text) {
        Ok(Value::String(id)) => Some(id),
        Ok(Value::Object(fields)) => fields.get(field).and_then(Value::as_str).map(str::to_owned),
        Ok(_) => None,
        Err(error) => return Err(error.to_string()),
    };
    id.ok_or_else(|| format!("expected a text, or an object with {field}"))
}

fn check(store: &Store, job: &Job, file: &Spooled) -> io::Result<Checked> {
    let mut items = items(file);
    let mut checked = Checked::default();
    let adds = job.mode != MemberMode::Remove;
    while let Some(item) = items.next()? {
        let text = item.text.map_err(str::to_owned);
        let found = text.and_then(|text| member(store, job, file.form, text, false));
        let found = found.and_then(|member| match member {
            Some(member) if adds && !store.may_be_tagged(member, &job.tag) => {
                Err("it has as many tags as it may".to_owned())
            }
            _ => Ok(()),
        });
        match found {
            Ok(()) => checked.good += 1,
            Err(detail) => {
                checked.bad += 1;
                if checked.errors.len() < ERRORS_MAX {
                    checked.errors.push(LineError { line: item.line, detail });
                }
            }
        }
    }
    Ok(checked)
}

/// How many named members have the tag now (or have it not), and how many others lost it.
async fn carry_out(store: &Store, job: &Arc<Job>, file: Spooled) -> Result<(u64, u64), Refused> {
    let adds = job.mode != MemberMode::Remove;
    let change = Arc::new(change(&job.tag, adds));
    let mut named = Ordinals::new();
    let mut items = items(&file);
    loop {
        let part = {
            let (store, job, form) = (store.clone(), Arc::clone(job), file.form);
            blocking(move || {
                let mut part = Vec::with_capacity(PART);
                while part.len() < PART
                    && let Some(item) = items.next()?
                {
                    let found = item.text.ok().and_then(|text| member(&store, &job, form, text, adds).ok());
                    part.extend(found.flatten());
                }
                Ok((items, part))
            })
            .await?
        };
        items = part.0;
        if part.1.is_empty() {
            break;
        }
        let tagged = apply(store, job.app, &part.1, &change).await?;
        let done = part.1.iter().zip(tagged).filter(|(_, tagged)| *tagged == Tagged::Done);
        named.extend(done.map(|(member, _)| ordinal(*member)));
    }
    let mut removed = 0;
    if job.mode == MemberMode::Replace {
        let of_kind =
            |member: &Owner| matches!(member, Owner::Device(_)) == (job.kind == MemberKind::Devices);
        let others = store.tag_members(job.app, &job.tag).into_iter();
        let others: Vec<Owner> =
            others.filter(|member| of_kind(member) && !named.contains(ordinal(*member))).collect();
        apply(store, job.app, &others, &Arc::new(self::change(&job.tag, false))).await?;
        removed = others.len() as u64;
    }
    Ok((named.len(), removed))
}

fn change(tag: &str, adds: bool) -> TagChange {
    let (tag, none) = (vec![tag.to_owned()], Vec::new());
    if adds {
        TagChange::Change { add: tag, remove: none }
    } else {
        TagChange::Change { add: none, remove: tag }
    }
}

const fn ordinal(member: Owner) -> u32 {
    match member {
        Owner::Device(Device { ordinal, .. }) | Owner::User(User { ordinal, .. }) => ordinal,
    }
}

/// The change for all of them; while the intake is full it waits, since a part may be done.
pub(super) async fn apply(
    store: &Store,
    app: App,
    members: &[Owner],
    change: &Arc<TagChange>,
) -> Result<Vec<Tagged>, Refused> {
    let mut tagged = Vec::with_capacity(members.len());
    for part in members.chunks(PART) {
        let mut tries = 0;
        tagged.extend(loop {
            match store.tag_many(app, part, change).await {
                Err(Error::Full) if tries < TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(WAIT).await;
                }
                Err(Error::Full | Error::Unknown) => return Err(Refused::new(Code::OutcomeUnknown)),
                other => break other.map_err(|error| Refused::by_store(&error, Code::TagsFull))?,
            }
        });
    }
    Ok(tagged)
}
