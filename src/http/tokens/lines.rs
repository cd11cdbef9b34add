//! The lines of a file of tokens, one after the other, each within its bound.

use std::io::{self, Read};

use carillon_actors::store::is_token;
use carillon_sdk::api::Platform;
use carillon_sdk::{DeviceId, Timestamp, UserId, Vendor};
use serde::Deserialize;
use serde_json::Value;

use super::super::csv::cells;
use super::super::devices::ATTRIBUTE_BYTES_MAX;
use super::super::spool::{Items, Split};

/// Longest line: a token of 4,096 bytes, each escaped, two ids and the rest.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What a line says.
pub(super) struct Line {
    pub(super) device_id: Option<DeviceId>,
    pub(super) vendor: Vendor,
    pub(super) token: String,
    /// Where the line does not say, the channel does.
    pub(super) platform: Platform,
    pub(super) maker: Option<String>,
    pub(super) user_id: Option<UserId>,
    pub(super) registered_at: Option<Timestamp>,
}

/// A line's number, from 1, and the line or why it is none.
pub(super) type Numbered = (u64, Result<Line, String>);

/// As it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    device_id: Option<String>,
    channel: String,
    /// A text, or for Web Push the subscription itself.
    token: Value,
    platform: Option<String>,
    maker: Option<String>,
    user_id: Option<String>,
    registered_at: Option<u64>,
}

/// A token a line and nothing else: all of this channel.
pub(super) fn of_lines(reader: impl Read, channel: Vendor) -> impl FnMut() -> io::Result<Option<Numbered>> {
    let mut items = Items::new(reader, Split::Lines, LINE_BYTES_MAX);
    move || {
        let Some(item) = items.next()? else { return Ok(None) };
        let of = |token: &str| Written { token: Value::String(token.to_owned()), ..Written::default() };
        let written = item.text.map(of).map_err(str::to_owned);
        Ok(Some((item.line, written.and_then(|written| written.read(Some(channel))))))
    }
}

/// A JSON object a line. `channel`: of those that name none.
pub(super) fn of_ndjson(
    reader: impl Read,
    channel: Option<Vendor>,
) -> impl FnMut() -> io::Result<Option<Numbered>> {
    let mut items = Items::new(reader, Split::Lines, LINE_BYTES_MAX);
    move || {
        let Some(item) = items.next()? else { return Ok(None) };
        let written = item.text.map_err(str::to_owned).and_then(|text| {
            // Where it is wrong, and not what stands there: it may be a token.
            serde_json::from_str::<Written>(text).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => {
                    "not an object of the fields there are, each of its kind".to_owned()
                }
                _ => format!("not JSON at column {}", error.column()),
            })
        });
        Ok(Some((item.line, written.and_then(|written| written.read(channel)))))
    }
}

/// A header, and cells a line.
pub(super) fn of_csv(
    reader: impl Read,
    channel: Option<Vendor>,
) -> impl FnMut() -> io::Result<Option<Numbered>> {
    let mut items = Items::new(reader, Split::Lines, LINE_BYTES_MAX);
    let mut header: Option<Vec<Column>> = None;
    let mut over = false;
    move || {
        loop {
            let Some(item) = items.next()?.filter(|_| !over) else { return Ok(None) };
            let cells = item.text.map_err(str::to_owned).and_then(cells);
            match &header {
                Some(header) => {
                    let written = cells.and_then(|cells| row(header, cells));
                    return Ok(Some((item.line, written.and_then(|written| written.read(channel)))));
                }
                None => match cells.and_then(|cells| columns(&cells, channel.is_some())) {
                    Ok(columns) => header = Some(columns),
                    Err(why) => {
                        // Without a header no line means anything.
                        over = true;
                        return Ok(Some((item.line, Err(why))));
                    }
                },
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    DeviceId,
    Channel,
    Token,
    Platform,
    Maker,
    UserId,
    RegisteredAt,
}

/// In the order in which an export has them.
pub(super) const COLUMNS: [&str; 7] =
    ["device_id", "channel", "token", "platform", "maker", "user_id", "registered_at"];

fn columns(cells: &[String], has_channel: bool) -> Result<Vec<Column>, String> {
    let known = [
        Column::DeviceId,
        Column::Channel,
        Column::Token,
        Column::Platform,
        Column::Maker,
        Column::UserId,
        Column::RegisteredAt,
    ];
    let mut columns = Vec::with_capacity(cells.len());
    for cell in cells {
        let place = COLUMNS.iter().position(|name| *name == cell.trim());
        let column = place
            .map(|place| known[place])
            .ok_or_else(|| format!("the header has a column that is none of {}", COLUMNS.join(", ")))?;
        if columns.contains(&column) {
            return Err(format!("the header names {} twice", cell.trim()));
        }
        columns.push(column);
    }
    if !((has_channel || columns.contains(&Column::Channel)) && columns.contains(&Column::Token)) {
        return Err("the header has channel and token at least".to_owned());
    }
    Ok(columns)
}

fn row(header: &[Column], cells: Vec<String>) -> Result<Written, String> {
    if cells.len() != header.len() {
        return Err(format!("{} cells; the header has {}", cells.len(), header.len()));
    }
    let mut written = Written::default();
    for (column, cell) in header.iter().zip(cells) {
        let given = Some(cell).filter(|cell| !cell.is_empty());
        match column {
            Column::DeviceId => written.device_id = given,
            Column::Channel => written.channel = given.unwrap_or_default(),
            Column::Token => written.token = given.map_or(Value::Null, Value::String),
            Column::Platform => written.platform = given,
            Column::Maker => written.maker = given,
            Column::UserId => written.user_id = given,
            Column::RegisteredAt => {
                let number = given.map(|text| text.trim().parse::<u64>());
                written.registered_at =
                    number.transpose().map_err(|_| "registered_at is no number of milliseconds")?;
            }
        }
    }
    Ok(written)
}

impl Written {
    /// `channel`: where the line names none.
    fn read(self, channel: Option<Vendor>) -> Result<Line, String> {
        let named = self.channel.trim();
        let vendor = match channel.filter(|_| named.is_empty()) {
            Some(channel) => channel,
            None => named
                .parse()
                .map_err(|_| format!("channel is none of {}", Vendor::ALL.map(Vendor::as_str).join(", ")))?,
        };
        let token = match self.token {
            Value::String(token) => token,
            subscription @ Value::Object(_) if vendor == Vendor::WebPush => subscription.to_string(),
            _ => return Err("token is no text".to_owned()),
        };
        if !is_token(&token) {
            return Err(super::invalid(&token));
        }
        let platform = match &self.platform {
            Some(name) => {
                Platform::ALL.into_iter().find(|platform| platform.as_str() == name).ok_or_else(|| {
                    format!("platform is none of {}", Platform::ALL.map(Platform::as_str).join(", "))
                })?
            }
            None => platform_of(vendor),
        };
        if self.maker.as_ref().is_some_and(|maker| {
            maker.is_empty() || maker.len() > ATTRIBUTE_BYTES_MAX || maker.chars().any(char::is_control)
        }) {
            return Err(format!("maker has 1 to {ATTRIBUTE_BYTES_MAX} bytes, without control characters"));
        }
        let device_id = self.device_id.map(|id| DeviceId::parse(&id)).transpose();
        let user_id = self.user_id.map(|id| UserId::parse(&id)).transpose();
        Ok(Line {
            device_id: device_id.map_err(|error| format!("device_id: {error}"))?,
            vendor,
            token,
            platform,
            maker: self.maker,
            user_id: user_id.map_err(|error| format!("user_id: {error}"))?,
            registered_at: self.registered_at.map(Timestamp::from_millis),
        })
    }
}

/// Where a channel is at home.
const fn platform_of(vendor: Vendor) -> Platform {
    match vendor {
        Vendor::Apns => Platform::Ios,
        Vendor::HarmonyOs => Platform::HarmonyOs,
        Vendor::WebPush => Platform::Web,
        _ => Platform::Android,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut next: impl FnMut() -> io::Result<Option<Numbered>>) -> Vec<(u64, Result<String, String>)> {
        let told = |line: Line| {
            let (id, maker) = (line.device_id.as_ref().map_or("-", DeviceId::as_str), line.maker);
            let user = line.user_id.as_ref().map_or("-", UserId::as_str);
            let at = line.registered_at.map(Timestamp::as_millis);
            format!("{id} {} {} {:?} {maker:?} {user} {at:?}", line.vendor, line.token, line.platform)
        };
        std::iter::from_fn(|| next().unwrap()).map(|(number, line)| (number, line.map(told))).collect()
    }

    #[test]
    fn csv_and_ndjson_say_the_same() {
        let csv = "token,channel,device_id,maker,user_id,registered_at\nabc,fcm,d1,samsung,ann,1700000000000\n\
                   \"{\"\"endpoint\"\":\"\"https://p/1\"\"}\",webpush,,,,\n";
        let ndjson = "{\"token\":\"abc\",\"channel\":\"fcm\",\"device_id\":\"d1\",\"maker\":\"samsung\",\"user_id\":\"ann\",\
                      \"registered_at\":1700000000000}\n\n{\"token\":{\"endpoint\":\"https://p/1\"},\"channel\":\"webpush\"}";
        let texts = |lines: Vec<(u64, Result<String, String>)>| {
            lines.into_iter().map(|(_, line)| line.unwrap()).collect::<Vec<_>>()
        };
        let (csv, ndjson) =
            (texts(all(of_csv(csv.as_bytes(), None))), texts(all(of_ndjson(ndjson.as_bytes(), None))));
        assert_eq!(csv, ndjson);
        assert!(csv[1].contains("Web"), "its platform is the channel's: {csv:?}");
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_never_quotes_a_token() {
        let ndjson = "{\"channel\":\"fcm\",\"token\":\"planted\"}\n{\"channel\":\"pigeon\",\"token\":\"planted\"}\n\
                      {\"channel\":\"fcm\",\"token\":\"planted\\n\"}\n{\"channel\":\"fcm\",\"tokn\":\"planted\"}\n\
                      {\"channel\":\"fcm\",\"token\":7,\"maker\":\"planted\"}\n\"planted\n{\"channel\":\"fcm\"}\n\
                      {\"channel\":\"fcm\",\"token\":\"planted\",\"platform\":\"planted\"}\n";
        let lines = all(of_ndjson(ndjson.as_bytes(), None));
        let bad: Vec<_> = lines.iter().filter(|(_, line)| line.is_err()).map(|(number, _)| *number).collect();
        assert_eq!((lines.len(), bad), (8, vec![2, 3, 4, 5, 6, 7, 8]), "{lines:?}");
        assert!(lines.iter().filter_map(|(_, line)| line.as_ref().err()).all(|why| !why.contains("planted")));
        for header in ["token,device_id\na,b\n", "channel,token,age\n", "channel,token,token\n"] {
            let lines = all(of_csv(header.as_bytes(), None));
            assert!(lines.len() == 1 && lines[0].1.is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_file_of_one_channel_need_not_name_it() {
        let apns = Some(Vendor::Apns);
        let tokens = |lines: Vec<(u64, Result<String, String>)>| {
            lines.into_iter().map(|(_, line)| line.unwrap()).collect::<Vec<_>>()
        };
        let lines = tokens(all(of_lines("aa\r\n\nbb\n".as_bytes(), Vendor::Apns)));
        assert_eq!(lines.len(), 2);
        let ndjson = "{\"token\":\"aa\"}\n{\"token\":\"bb\",\"channel\":\"apns\"}\n";
        assert_eq!(tokens(all(of_ndjson(ndjson.as_bytes(), apns))), lines);
        assert_eq!(tokens(all(of_csv("token\naa\nbb\n".as_bytes(), apns))), lines);
        let named = tokens(all(of_csv("token,channel\ncc,fcm\n".as_bytes(), apns)));
        assert!(named[0].contains("fcm"), "a line's own word goes first: {named:?}");
    }
}
