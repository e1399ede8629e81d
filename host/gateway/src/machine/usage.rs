//! The metrics of the process itself: its version, what it takes of the machine, and the memory of its plugins.

use std::fs;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use metrics::Gauge;
use metrics::describe_gauge;
use metrics::gauge;
use portcullis::Engine;
use rustix::time::ClockId;
use rustix::time::clock_gettime;

const BUILD: &str = "portcullis_build_info";
const MEMORY: &str = "portcullis_plugin_memory_bytes";
const MAX_MEMORY: &str = "portcullis_plugin_memory_limit_bytes";

/// The names that Prometheus's own libraries use.
const CPU_SECONDS: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const OPEN_FILES: &str = "process_open_fds";
const MAX_FILES: &str = "process_max_fds";
const START: &str = "process_start_time_seconds";

/// Keeps the metrics up to date. The future never completes.
pub(crate) async fn report(engine: Engine) {
    describe_gauge!(BUILD, "1, with the version of the program");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
    describe_gauge!(START, "When the process started, as Unix time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    gauge!(START).set(now.unwrap_or_default().as_secs_f64());
    let gauges = Gauges::register();
    loop {
        let (gauges, engine) = (gauges.clone(), engine.clone());
        // It lists the open files, of which there may be many. A task that panicked has said so by itself.
        let _ = tokio::task::spawn_blocking(move || gauges.set(&engine)).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

#[derive(Clone)]
struct Gauges {
    memory: Gauge,
    max_memory: Gauge,
    cpu_seconds: Gauge,
    resident: Gauge,
    open_files: Gauge,
    max_files: Gauge,
}

impl Gauges {
    fn register() -> Self {
        describe_gauge!(MEMORY, "The memory of all instances of plugins");
        describe_gauge!(MAX_MEMORY, "How much memory all instances of plugins together may have");
        describe_gauge!(CPU_SECONDS, "How long processors worked for the process");
        describe_gauge!(RESIDENT, "The memory that the system has given to the process");
        describe_gauge!(OPEN_FILES, "Open files, connections included");
        describe_gauge!(MAX_FILES, "How many files the process may have open");
        Self {
            memory: gauge!(MEMORY),
            max_memory: gauge!(MAX_MEMORY),
            cpu_seconds: gauge!(CPU_SECONDS),
            resident: gauge!(RESIDENT),
            open_files: gauge!(OPEN_FILES),
            max_files: gauge!(MAX_FILES),
        }
    }

    /// What the system doesn't report stays as it was.
    fn set(&self, engine: &Engine) {
        self.memory.set(engine.memory_in_use() as f64);
        self.max_memory.set(engine.max_memory() as f64);
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        self.cpu_seconds.set(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident(&status) {
            self.resident.set(bytes as f64);
        }
        // One of them is this list.
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(files.count().saturating_sub(1) as f64);
        }
        if let Ok(files) = rlimit::Resource::NOFILE.get_soft() {
            self.max_files.set(files as f64);
        }
    }
}

/// The resident memory in bytes, from `/proc/self/status` (proc_pid_status(5)).
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// More often than a scraper asks.
const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_in_bytes() {
        assert_eq!(
            resident("VmHWM:\t  9 kB\nVmRSS:\t   1234 kB\nRssAnon:\t 1 kB\n"),
            Some(1234 << 10)
        );
        for status in [
            "",
            "VmRSS:\t1234\n",
            "VmRSS:\tx kB\n",
            "VmRSS:\t99999999999999999999 kB\n",
        ] {
            assert_eq!(resident(status), None, "{status}");
        }
    }
}
