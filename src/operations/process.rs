//! What Linux says of this process, under the names every Prometheus client uses.

use std::fs;

use metrics::{counter, gauge};

/// Clock ticks in a second, as /proc counts them: 100 on every Linux that Rust runs on.
const TICKS_PER_S: u64 = 100;

/// Reads /proc once a scrape. What cannot be read is left out.
pub(super) fn observe() {
    // The engine sets it once a minute too; a scrape wants the moment's.
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kilobytes) = field(&status, "VmRSS:") {
            gauge!("process_resident_memory_bytes").set(kilobytes * 1024.0);
        }
        if let Some(threads) = field(&status, "Threads:") {
            gauge!("process_threads").set(threads);
        }
    }
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(seconds) = cpu_seconds(&stat)
    {
        counter!("process_cpu_seconds_total").absolute(seconds);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(u32::try_from(files.count()).unwrap_or(u32::MAX));
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits")
        && let Some(most) = field(&limits, "Max open files")
    {
        gauge!("process_max_fds").set(most);
    }
}

/// The first number of the line that begins so.
fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// User and system time: fields 14 and 15, counted after the command's name, which may hold spaces.
fn cpu_seconds(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_it_is_written() {
        assert_eq!(field("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234.0));
        let stat = "7 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(2));
    }
}
