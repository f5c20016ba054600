//! What the kernel says about one process, its children not counted.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Clock ticks per second in `/proc`: `USER_HZ`, the same on every Linux of today.
const TICKS: f64 = 100.0;

/// Processor time of a process since its start, in user and kernel mode, of all its threads.
///
/// Source: proc(5), fields 14 and 15 of `stat`.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = ticks(&text).with_context(|| format!("{path}: {text}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}

fn ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// `VmRSS` now or `VmHWM`, the most it ever was, in millions of bytes.
pub(crate) fn megabytes(pid: u32, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kibibytes.with_context(|| format!("{field} in {path}"))? * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_user_and_kernel_mode() {
        assert_eq!(ticks("7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 120 30 9 9 20 0"), Some(150));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn the_test_itself_can_be_measured() {
        let own = std::process::id();
        cpu_time(own).unwrap();
        assert!(megabytes(own, "VmHWM").unwrap() > 0.1);
    }
}
