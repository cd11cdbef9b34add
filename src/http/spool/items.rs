//! A list file taken apart: item by item, each with its line, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// Where one item ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Split {
    /// Each line is an item.
    Lines,
    /// Commas part items too, and an item may stand in double quotes, as a spreadsheet writes it.
    Commas,
}

/// An item, without blanks around it and never empty.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Item<'a> {
    /// From 1.
    pub(in crate::http) line: u64,
    /// Or why it cannot be read.
    pub(in crate::http) text: Result<&'a str, &'static str>,
}

/// The items of a file, one after the other.
pub(in crate::http) struct Items<R> {
    reader: BufReader<R>,
    split: Split,
    item_bytes_max: usize,
    line: u64,
    item: Vec<u8>,
}

const TOO_LONG: &str = "too long";
const NOT_UTF_8: &str = "not UTF-8";

/// What a spreadsheet writes in front of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

impl<R: Read> Items<R> {
    /// An item longer than `item_bytes_max` is read past and not kept.
    pub(in crate::http) fn new(reader: R, split: Split, item_bytes_max: usize) -> Self {
        let reader = BufReader::with_capacity(64 * 1024, reader);
        Self { reader, split, item_bytes_max, line: 1, item: Vec::new() }
    }

    pub(in crate::http) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        loop {
            self.item.clear();
            let line = self.line;
            let Some(fits) = self.read_item()? else { return Ok(None) };
            if line == 1 && self.item.starts_with(MARK) {
                self.item.drain(..MARK.len());
            }
            if !fits || self.item.trim_ascii().len() > self.item_bytes_max {
                return Ok(Some(Item { line, text: Err(TOO_LONG) }));
            }
            if !self.item.trim_ascii().is_empty() {
                let text = std::str::from_utf8(&self.item).map(str::trim).map_err(|_| NOT_UTF_8);
                return Ok(Some(Item { line, text }));
            }
        }
    }

    /// Reads up to the end of an item; whether it fitted. None at the end of the file.
    fn read_item(&mut self) -> io::Result<Option<bool>> {
        let (mut fits, mut any, mut quotes) = (true, false, Quotes::Outside);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(any.then_some(fits));
            }
            any = true;
            let (mut used, mut ended) = (0, false);
            for &byte in buffer {
                used += 1;
                // A line ends an item within quotes too: a quote too many does not swallow a file.
                ended = byte == b'\n' || (self.split == Split::Commas && byte == b',' && !quotes.inside());
                if ended {
                    self.line += u64::from(byte == b'\n');
                    break;
                }
                if self.split == Split::Commas && !quotes.keeps(byte) {
                    continue;
                }
                if self.item.len() < self.item_bytes_max + MARK.len() {
                    self.item.push(byte);
                } else {
                    fits = false;
                }
            }
            self.reader.consume(used);
            if ended {
                return Ok(Some(fits));
            }
        }
    }
}

/// Where the reader stands among double quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Outside,
    Inside,
    /// After one that ends the quotes, unless another follows: two stand for one.
    Ending,
}

impl Quotes {
    fn inside(self) -> bool {
        self == Self::Inside
    }

    /// Whether the byte belongs to the item.
    fn keeps(&mut self, byte: u8) -> bool {
        let (next, keeps) = match (*self, byte) {
            (Self::Outside, b'"') => (Self::Inside, false),
            (Self::Inside, b'"') => (Self::Ending, false),
            (Self::Ending, b'"') => (Self::Inside, true),
            (Self::Ending, _) => (Self::Outside, true),
            (here, _) => (here, true),
        };
        *self = next;
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, so that no end of an item depends on where a read ends.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let few = to.len().min(1);
            self.0.read(&mut to[..few])
        }
    }

    fn items(text: &[u8], split: Split) -> Vec<(u64, Result<String, &'static str>)> {
        let mut items = Items::new(Slowly(text), split, 8);
        let mut all = Vec::new();
        while let Some(item) = items.next().unwrap() {
            all.push((item.line, item.text.map(str::to_owned)));
        }
        all
    }

    fn ok(line: u64, text: &str) -> (u64, Result<String, &'static str>) {
        (line, Ok(text.to_owned()))
    }

    #[test]
    fn a_line_is_an_item_whatever_ends_it() {
        let text = b"\xef\xbb\xbfone\r\ntwo, 2\n\n  \n\xff\n12345678\n123456789\nlast";
        let expected = [
            ok(1, "one"),
            ok(2, "two, 2"),
            (5, Err(NOT_UTF_8)),
            ok(6, "12345678"),
            (7, Err(TOO_LONG)),
            ok(8, "last"),
        ];
        assert_eq!(items(text, Split::Lines), expected);
        assert_eq!(items(b"", Split::Lines), []);
    }

    #[test]
    fn commas_part_items_but_within_quotes() {
        let text = b"a, b,,\"c,d\",\"e\"\"f\"\n\"open\nnext\n";
        let expected = [ok(1, "a"), ok(1, "b"), ok(1, "c,d"), ok(1, "e\"f"), ok(2, "open"), ok(3, "next")];
        assert_eq!(items(text, Split::Commas), expected);
    }
}
