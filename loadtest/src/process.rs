//! What the kernel says of a process: memory, processor time, bytes written.

use std::fs;

use anyhow::{Context, Result};

/// Linux counts processor time in hundredths of a second on every architecture we build for.
const TICKS_PER_S: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

/// A process under measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// Resident memory in bytes.
    pub(crate) fn rss_bytes(self) -> Result<u64> {
        let statm = self.read("statm")?;
        let pages: u64 = statm.split_whitespace().nth(1).context("statm has a second field")?.parse()?;
        Ok(pages * PAGE_BYTES)
    }

    /// The highest resident memory so far, in bytes.
    pub(crate) fn rss_peak_bytes(self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("status has VmHWM")?;
        let kib: u64 = line.split_whitespace().nth(1).context("VmHWM has a number")?.parse()?;
        Ok(kib * 1024)
    }

    /// User and system time of all its threads, in seconds.
    pub(crate) fn cpu_s(self) -> Result<f64> {
        let stat = self.read("stat")?;
        // The name, in parentheses, may hold spaces; fields are counted after it.
        let (_, fields) = stat.rsplit_once(") ").context("stat has a name")?;
        let mut fields = fields.split_whitespace().skip(11);
        let user: f64 = fields.next().context("stat has utime")?.parse()?;
        let system: f64 = fields.next().context("stat has stime")?.parse()?;
        Ok((user + system) / TICKS_PER_S)
    }

    /// Bytes it caused to be written to storage.
    pub(crate) fn written_bytes(self) -> Result<u64> {
        let io = self.read("io")?;
        let line = io.lines().find(|line| line.starts_with("write_bytes:")).context("io has write_bytes")?;
        Ok(line.split_whitespace().nth(1).context("write_bytes has a number")?.parse()?)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("read {path}; did the server end?"))
    }
}
