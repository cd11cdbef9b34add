//! docs/wire.md, read as a stranger would: each pair of a hex and a JSON example is one frame.

use std::collections::BTreeSet;

use super::super::*;

const SPECIFICATION: &str = include_str!("../../../../docs/wire.md");

/// The content of each fenced block in one of these languages, in order.
fn blocks(languages: &[&str]) -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut lines = SPECIFICATION.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let content: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if languages.contains(&language) {
            blocks.push((language, content.join("\n")));
        }
    }
    blocks
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.lines().flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    hex::decode(digits.collect::<String>()).unwrap()
}

#[test]
fn every_example_of_the_specification_is_what_we_write_and_read() {
    let mut kinds = BTreeSet::new();
    for pair in blocks(&["hex", "json"]).chunks(2) {
        let [("hex", hex), ("json", json)] = pair else { panic!("not a pair: {pair:?}") };
        let frame = decode_body(&bytes(hex)).unwrap().frame.unwrap();
        assert_eq!(decode_json(json.as_bytes()), Ok(Decoded { frame: Some(frame.clone()), unknown: 0 }));
        assert_eq!(hex::encode(&encode(&frame)[4..]), hex::encode(bytes(hex)), "{}", frame.name());
        assert_eq!(std::str::from_utf8(&encode_json(&frame)), Ok(json.as_str()));
        kinds.insert(frame.kind());
    }
    assert_eq!(kinds, (1..=14).collect(), "each frame has its example");
}

#[test]
fn the_specification_names_every_bound_and_every_name() {
    for bound in [FRAME_BYTES_MAX, ACK_SEQS_MAX, HOLDING_MAX, DATA_DEPTH_MAX] {
        let text = bound.to_string();
        let (thousands, rest) = text.split_at(text.len().saturating_sub(3));
        let written = if thousands.is_empty() { rest.to_owned() } else { format!("{thousands},{rest}") };
        assert!(SPECIFICATION.contains(&written), "{written}");
    }
    for (place, name) in frame::NAMES.iter().enumerate() {
        assert!(SPECIFICATION.contains(&format!("| {} | [`{name}`]", place + 1)), "{name}");
    }
}
