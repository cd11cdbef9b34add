//! What Meizu takes for a notification.

use serde_json::Value;

use crate::lab::shape::Shape;

const TITLE_CHARS_MAX: usize = 32;
const CONTENT_CHARS_MAX: usize = 100;
const VALID_HOURS_MAX: i64 = 72;
const NOTIFY_KEY_CHARS_MAX: usize = 8;

pub(super) struct Content {
    pub(super) shown: Value,
}

impl Content {
    pub(super) fn read(json: &str, is_lenient: bool) -> Result<Self, String> {
        let shown: Value = serde_json::from_str(json).map_err(|_| "messageJson: no JSON".to_owned())?;
        let root = Shape::of(&shown, "messageJson")?;
        if !is_lenient {
            let parts = [
                "noticeBarInfo",
                "noticeExpandInfo",
                "clickTypeInfo",
                "pushTimeInfo",
                "advanceInfo",
                "extra",
            ];
            root.only(&parts)?;
        }
        check(&root, is_lenient)?;
        Ok(Self { shown })
    }
}

fn check(root: &Shape<'_>, is_lenient: bool) -> Result<(), String> {
    root.need(&["noticeBarInfo"])?;
    if let Some(bar) = root.object("noticeBarInfo")? {
        bar.need(&["title", "content"])?;
        bar.text("title", 1..=TITLE_CHARS_MAX)?;
        bar.text("content", 1..=CONTENT_CHARS_MAX)?;
        bar.integer("noticeMsgType", 0..=1)?;
        bar.integer("noticeBarType", 0..=2)?;
    }
    if let Some(expand) = root.object("noticeExpandInfo")? {
        expand.integer("noticeExpandType", 0..=3)?;
    }
    if let Some(click) = root.object("clickTypeInfo")? {
        // 3, the app's own, is off since Android 12.
        let kinds_max = if is_lenient { 3 } else { 2 };
        match click.integer("clickType", 0..=kinds_max)? {
            Some(1) => click.need(&["activity"])?,
            Some(2) => click.need(&["url"])?,
            _ => {}
        }
        click.object("parameters")?;
    }
    if let Some(time) = root.object("pushTimeInfo")? {
        time.integer("offLine", 0..=1)?;
        time.integer("validTime", 1..=VALID_HOURS_MAX)?;
    }
    if let Some(advance) = root.object("advanceInfo")? {
        let key = advance.text("notifyKey", 1..=NOTIFY_KEY_CHARS_MAX)?.unwrap_or_default();
        if !key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)) {
            return Err(advance.wrong("notifyKey", "not of 0-9 A-Z a-z _ -"));
        }
        advance.object("notificationType")?;
    }
    if let Some(extra) = root.object("extra")? {
        extra.text("callback", 1..=128)?;
        extra.text("callback.param", 1..=64)?;
        extra.word("callback.type", &["1", "2", "3"])?;
    }
    Ok(())
}
