//! The lines of an upload, one after the other, each within its bound: a file of any length costs
//! the memory of a line.

use std::collections::BTreeMap;
use std::io::{self, Read};

use carillon_actors::lists::{LINE_BYTES_MAX, Line, Numbered};
use carillon_actors::order::Named;
use carillon_sdk::{DeviceId, UserId};

use super::super::csv::cells;
use super::super::spool::{Items, Split};

/// A JSON object a line.
pub(super) fn of_ndjson(reader: impl Read) -> impl FnMut() -> io::Result<Option<Numbered>> {
    let mut items = Items::new(reader, Split::Lines, LINE_BYTES_MAX);
    move || {
        let item = items.next()?;
        Ok(item.map(|item| (item.line, item.text.map_err(str::to_owned).and_then(Line::parse))))
    }
}

/// A header, and cells a line. A cell holds no line break: a quote too many costs its line and not
/// the rest of the file.
pub(super) fn of_csv(reader: impl Read) -> impl FnMut() -> io::Result<Option<Numbered>> {
    let mut items = Items::new(reader, Split::Lines, LINE_BYTES_MAX);
    let mut header: Option<Vec<String>> = None;
    let mut over = false;
    move || {
        loop {
            let Some(item) = items.next()?.filter(|_| !over) else { return Ok(None) };
            let cells = item.text.map_err(str::to_owned).and_then(cells);
            match (&header, cells) {
                (Some(header), cells) => {
                    return Ok(Some((item.line, cells.and_then(|cells| row(header, cells)))));
                }
                (None, cells) => match cells.and_then(|cells| columns(&cells)) {
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

fn columns(cells: &[String]) -> Result<Vec<String>, String> {
    let columns: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
    if !columns.iter().any(|column| matches!(column.as_str(), "device_id" | "user_id")) {
        return Err("the header names neither device_id nor user_id".to_owned());
    }
    if let Some(at) = (1..columns.len()).find(|&at| columns[..at].contains(&columns[at])) {
        return Err(format!("the header names {} twice", columns[at]));
    }
    Ok(columns)
}

fn row(header: &[String], cells: Vec<String>) -> Result<Line, String> {
    if cells.len() != header.len() {
        return Err(format!("{} cells; the header has {}", cells.len(), header.len()));
    }
    let (mut device, mut user, mut key, mut data) = (None, None, None, None);
    let mut values = BTreeMap::new();
    for (column, cell) in header.iter().zip(cells) {
        let given = !cell.is_empty();
        match column.as_str() {
            "device_id" if given => device = Some(cell),
            "user_id" if given => user = Some(cell),
            "key" if given => key = Some(cell),
            "data" if given => data = Some(object(&cell)?),
            "device_id" | "user_id" | "key" | "data" => {}
            name => {
                values.insert(name.to_owned(), cell);
            }
        }
    }
    let to = match (device, user) {
        (Some(id), None) => DeviceId::parse(&id).map(Named::Device),
        (None, Some(id)) => UserId::parse(&id).map(Named::User),
        _ => return Err("expected exactly one of device_id and user_id".to_owned()),
    };
    Line { to: to.map_err(|error| error.to_string())?, key, values, data }.checked()
}

fn object(text: &str) -> Result<String, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value.to_string()),
        Ok(_) => Err("data is not a JSON object".to_owned()),
        Err(error) => Err(format!("data: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut next: impl FnMut() -> io::Result<Option<Numbered>>) -> Vec<(u64, Result<String, String>)> {
        std::iter::from_fn(|| next().unwrap())
            .map(|(number, line)| (number, line.map(|line| line.text())))
            .collect()
    }

    #[test]
    fn csv_and_ndjson_say_the_same() {
        let csv = "user_id,key,name,data\nann,k1,\"Ann, B\",\"{\"\"a\"\":1}\"\nben,,Ben,\n";
        let ndjson = "{\"user_id\":\"ann\",\"key\":\"k1\",\"values\":{\"name\":\"Ann, B\"},\"data\":{\"a\":1}}\n\n{\"user_id\":\"ben\",\"values\":{\"name\":\"Ben\"}}";
        let texts = |lines: Vec<(u64, Result<String, String>)>| {
            lines.into_iter().map(|(_, line)| line.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(texts(all(of_csv(csv.as_bytes()))), texts(all(of_ndjson(ndjson.as_bytes()))));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_the_rest_is_read() {
        let csv = "device_id,n\nd1,1\nd2\n,3\nd4,\"4\nd5,5\n";
        let lines = all(of_csv(csv.as_bytes()));
        let bad: Vec<_> = lines.iter().filter(|(_, line)| line.is_err()).map(|(number, _)| *number).collect();
        assert_eq!((lines.len(), bad), (5, vec![3, 4]), "{lines:?}");
        let ndjson = "{\"device_id\":\"d1\"}\nnonsense\n{\"device_id\":\"d3\"}\n";
        let lines = all(of_ndjson(ndjson.as_bytes()));
        assert!(lines[0].1.is_ok() && lines[1].0 == 2 && lines[1].1.is_err() && lines[2].1.is_ok());
    }

    #[test]
    fn a_header_without_a_target_is_one_error_and_no_lines() {
        for header in ["name,age\na,1\nb,2\n", "device_id,n,n\nd,1,2\n"] {
            let lines = all(of_csv(header.as_bytes()));
            assert!(lines.len() == 1 && lines[0].0 == 1 && lines[0].1.is_err(), "{lines:?}");
        }
    }
}
