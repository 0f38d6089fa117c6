//! Resource usage of this process, from Linux's `/proc`.
//! <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use crate::metrics::ProcessFacts;

/// Returns the present resource usage; `None` without a Linux `/proc`.
pub fn facts() -> Option<ProcessFacts> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    // The descriptor that lists the folder counts itself.
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    read(&stat, &machine, u64::try_from(open_fds).ok()?, clock_ticks_per_second(), page_size())
}

fn read(stat: &str, machine: &str, open_fds: u64, ticks: u64, page: usize) -> Option<ProcessFacts> {
    // The program's name is in brackets and may contain spaces and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Fields are numbered from 1, and the first two are before the closing bracket.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    #[allow(clippy::cast_precision_loss)] // exact for millions of years
    let seconds = |count: u64| count as f64 / ticks as f64;
    let boot: u64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let (user, system, started, pages) = (field(14)?, field(15)?, field(22)?, field(24)?);
    Some(ProcessFacts {
        resident_memory: pages * u64::try_from(page).ok()?,
        cpu: seconds(user + system),
        open_fds,
        start_time: seconds(boot * ticks + started),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b (c)) S 1 42 42 0 -1 4194560 99 0 0 0 250 50 0 0 20 0 5 0 12345 1000000 1024 18446744073709551615 1 1";

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let facts = read(STAT, "cpu 1 2\nbtime 1780000000\nprocesses 9\n", 7, 100, 4_096).unwrap();
        assert_eq!(facts.resident_memory, 1_024 * 4_096);
        assert!((facts.cpu - 3.).abs() < 1e-9, "{facts:?}");
        assert!((facts.start_time - 1_780_000_123.45).abs() < 1e-6, "{facts:?}");
        assert_eq!(facts.open_fds, 7);
        assert_eq!(read("42 (x) S 1", "btime 1", 0, 100, 1), None);
        assert_eq!(read(STAT, "cpu 1 2", 0, 100, 1), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_some_of_everything() {
        let before = facts().unwrap();
        assert!(before.resident_memory > 1 << 20, "{before:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(before.start_time > 1_700_000_000. && before.start_time < now + 1., "{before:?}, {now}");
        let _open: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(facts().unwrap().open_fds >= 50 + 3);
    }
}
