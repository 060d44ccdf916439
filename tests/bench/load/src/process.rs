//! What a process used so far, from `/proc`.

use anyhow::{Context, Result};

/// Linux counts CPU time in hundredths of a second, whatever the kernel's own tick.
const TICK_US: u64 = 10_000;

pub(crate) struct Usage {
    /// CPU time of all its threads, user and system, in microseconds.
    pub(crate) cpu_us: u64,
    /// Resident memory in kilobytes.
    pub(crate) rss_kb: u64,
    pub(crate) threads: u64,
}

pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    // The command in parentheses may hold spaces; the state comes after it as field 3.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .context("no fields")?
        .split_whitespace()
        .collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse().ok());
    let ticks = |field| number(field).context("a short stat line");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(Usage {
        cpu_us: (ticks(14)? + ticks(15)?) * TICK_US,
        rss_kb: rss.trim().trim_end_matches(" kB").parse()?,
        threads: ticks(20)?,
    })
}
