//! What the operating system says about this process.

use std::fs;

/// Clock ticks per second and bytes per page: fixed on Linux x86-64 and ARM64.
const TICKS: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ProcessNumbers {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: f64,
    pub(crate) virtual_bytes: f64,
    pub(crate) threads: f64,
    pub(crate) open_fds: f64,
}

/// Zeros where `/proc` cannot be read.
pub(crate) fn read() -> ProcessNumbers {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let open_fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    ProcessNumbers { open_fds: open_fds as f64, ..parse(&stat, &status) }
}

fn parse(stat: &str, status: &str) -> ProcessNumbers {
    // The command's name in parentheses may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    let line = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or_default()
    };
    ProcessNumbers {
        cpu_seconds: (ticks(11) + ticks(12)) / TICKS,
        resident_bytes: line("VmRSS:") * 1024.0,
        virtual_bytes: line("VmSize:") * 1024.0,
        threads: line("Threads:"),
        open_fds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let stat = "7 (a b) c) S 1 1 1 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 100 1000 10";
        let status = "Name:\ta\nVmSize:\t  2000 kB\nVmRSS:\t    10 kB\nThreads:\t9\n";
        let expected = ProcessNumbers {
            cpu_seconds: 2.0,
            resident_bytes: 10_240.0,
            virtual_bytes: 2_048_000.0,
            threads: 9.0,
            open_fds: 0.0,
        };
        assert_eq!(parse(stat, status), expected);
        assert!(read().resident_bytes > 0.0);
    }
}
