//! What the kernel says of a process: memory, processor time, bytes written.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

const PAGE_BYTES: u64 = 4096;
/// proc_pid_stat(5): utime and stime are fields 14 and 15, of which the name is the second.
const USER_AND_SYSTEM: usize = 11;
/// As every Linux of today shows it to processes (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

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

    /// Processor time of all its live threads, in seconds: from the scheduler's nanoseconds, since
    /// `stat` counts in hundredths.
    pub(crate) fn cpu_s(self) -> Result<f64> {
        let path = format!("/proc/{}/task", self.pid);
        let mut sum_ns = 0_u64;
        for thread in fs::read_dir(&path).with_context(|| format!("read {path}; did the server end?"))? {
            // A thread may end between the listing and this.
            let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum_ns +=
                schedstat.split_whitespace().next().context("schedstat has a first field")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(sum_ns).as_secs_f64())
    }

    /// The same with threads that have ended, in seconds; to the kernel's tick of 10 ms.
    pub(crate) fn cpu_with_ended_s(self) -> Result<f64> {
        let stat = self.read("stat")?;
        // A name may hold spaces and parentheses; what follows it does not.
        let (_, rest) = stat.rsplit_once(')').context("stat has a name")?;
        let mut fields = rest.split_whitespace().skip(USER_AND_SYSTEM);
        let mut ticks =
            || Ok::<u32, anyhow::Error>(fields.next().context("stat has processor times")?.parse()?);
        Ok(f64::from(ticks()? + ticks()?) / TICKS_PER_S)
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
