//! A list's file: written whole or not at all, read from any line on. Everything here blocks: on a
//! thread for that.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::line::{LINE_BYTES_MAX, Line};
use crate::order::Named;

/// Errors of a file that are named; the rest are counted.
const ERRORS_MAX: usize = 1_000;

/// A line's number, from 1, and the line, or what is wrong with it.
pub type Numbered = (u64, Result<Line, String>);

/// What was found in a file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Taken.
    pub lines: u64,
    pub devices: u64,
    pub users: u64,
    pub bytes: u64,
    /// SHA-256 of the lines taken, in hex.
    pub digest: String,
    /// The first thousand, by line.
    pub errors: Vec<(u64, String)>,
    pub error_count: u64,
}

/// Takes lines until there are no more, into a file that is on disk when this returns. Without
/// `skip` a line that cannot be read leaves no file, and so does a file without any line, or with
/// more than `lines_max`.
pub(super) fn write(
    path: &Path,
    mut next: impl FnMut() -> io::Result<Option<Numbered>>,
    skip: bool,
    lines_max: u64,
) -> io::Result<(Report, bool)> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let new = path.with_extension("new");
    let mut file = BufWriter::with_capacity(1 << 18, File::create(&new)?);
    let (mut report, mut digest) = (Report::default(), Sha256::new());
    while let Some((number, line)) = next()? {
        match line {
            Ok(line) => {
                report.lines += 1;
                if report.lines > lines_max {
                    break;
                }
                match line.to {
                    Named::Device(_) => report.devices += 1,
                    Named::User(_) => report.users += 1,
                }
                let mut text = line.text();
                text.push('\n');
                digest.update(text.as_bytes());
                report.bytes += text.len() as u64;
                file.write_all(text.as_bytes())?;
            }
            Err(why) => {
                report.error_count += 1;
                if report.errors.len() < ERRORS_MAX {
                    report.errors.push((number, why));
                }
            }
        }
    }
    let kept = report.lines > 0 && report.lines <= lines_max && (skip || report.error_count == 0);
    if !kept {
        drop(file);
        fs::remove_file(&new)?;
        return Ok((report, false));
    }
    report.digest = crate::lists::hex(&digest.finalize());
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()?;
    Ok((report, true))
}

/// Lines from a byte on, one after the other.
pub struct Lines {
    reader: BufReader<File>,
    /// The byte after the line that was read last.
    pub offset: u64,
    text: String,
}

impl Lines {
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 18, file), offset, text: String::new() })
    }

    /// The next line; none at the end. The file was checked when it was written, so what cannot be
    /// read now was damaged since.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        self.text.clear();
        let most = (2 * LINE_BYTES_MAX) as u64;
        let read = self.reader.by_ref().take(most).read_line(&mut self.text)?;
        if read == 0 {
            return Ok(None);
        }
        self.offset += read as u64;
        let line = Line::parse(self.text.trim_end_matches('\n'));
        line.map(Some).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64) -> Line {
        Line::parse(&format!(r#"{{"device_id":"d{n}","values":{{"n":"{n}"}}}}"#)).unwrap()
    }

    fn source(lines: Vec<Result<Line, String>>) -> impl FnMut() -> io::Result<Option<Numbered>> {
        let mut lines = (1..).zip(lines);
        move || Ok(lines.next())
    }

    #[test]
    fn a_file_is_read_on_from_any_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lists/a.jsonl");
        let (report, kept) =
            write(&path, source((0..10).map(|n| Ok(line(n))).collect()), false, 100).unwrap();
        assert!(kept && report.lines == 10 && report.devices == 10 && report.digest.len() == 64);
        let mut lines = Lines::open(&path, 0).unwrap();
        for n in 0..10 {
            let mut from_here = Lines::open(&path, lines.offset).unwrap();
            assert_eq!(from_here.next_line().unwrap(), Some(line(n)));
            assert_eq!(lines.next_line().unwrap(), Some(line(n)));
        }
        assert_eq!(lines.next_line().unwrap(), None);
        assert_eq!(lines.offset, report.bytes);
    }

    #[test]
    fn a_bad_line_in_the_middle_leaves_no_file_unless_it_may_be_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let lines = || vec![Ok(line(1)), Err("bad".to_owned()), Ok(line(3))];
        let (report, kept) = write(&path, source(lines()), false, 100).unwrap();
        assert_eq!((kept, report.error_count, report.errors), (false, 1, vec![(2, "bad".to_owned())]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let (report, kept) = write(&path, source(lines()), true, 100).unwrap();
        assert!(kept && report.lines == 2 && report.error_count == 1);
    }

    #[test]
    fn a_file_without_a_line_or_with_too_many_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        for (lines, most) in [(0, 100), (11, 10)] {
            let (_, kept) =
                write(&path, source((0..lines).map(|n| Ok(line(n))).collect()), true, most).unwrap();
            assert!(!kept && fs::read_dir(dir.path()).unwrap().count() == 0);
        }
    }

    #[test]
    fn the_same_lines_have_the_same_digest() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |name: &str, last: u64| {
            let path = dir.path().join(name);
            write(&path, source(vec![Ok(line(1)), Ok(line(last))]), false, 100).unwrap().0.digest
        };
        assert_eq!(digest("a.jsonl", 2), digest("b.jsonl", 2));
        assert_ne!(digest("a.jsonl", 2), digest("c.jsonl", 3));
    }
}
