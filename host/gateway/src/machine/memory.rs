//! How much memory is available: that of the machine, or the limit of the process's control group if it is lower.
//! See cgroups(7).

use std::fs;
use std::path::Path;

/// Returns how many bytes of memory the process may use. `None` if the system doesn't report it.
pub(crate) fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = limit(&groups, Path::new("/sys/fs/cgroup"));
    machine.into_iter().chain(group).min()
}

/// Parses the total memory of the machine from the text of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the lowest limit of the process's control group and its ancestors. `groups` is the text of
/// `/proc/self/cgroup`.
fn limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        // In a container the path may be the one on the host, of which only the root is visible here.
        let within = Path::new(path.trim_start_matches('/'));
        let groups = within.ancestors().map(|group| root.join(group).join(file));
        groups.filter_map(|file| bytes(&file)).collect()
    });
    limits.min()
}

/// Reads a limit from a file. `None` if there is no limit, which is written as `max`.
fn bytes(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, content: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    #[test]
    fn the_lowest_limit_of_a_group_and_its_ancestors_applies() {
        for (groups, files, expected) in [
            ("0::/\n", &[][..], None),
            ("0::/\n", &[("memory.max", "max\n")], None),
            ("0::/\n", &[("memory.max", "1000\n")], Some(1000)),
            (
                "0::/a.slice/b.service\n",
                &[
                    ("a.slice/memory.max", "500\n"),
                    ("a.slice/b.service/memory.max", "max\n"),
                ],
                Some(500),
            ),
            (
                "0::/a.slice/b.service\n",
                &[
                    ("a.slice/memory.max", "500\n"),
                    ("a.slice/b.service/memory.max", "400\n"),
                ],
                Some(400),
            ),
            // In a container, the path on the host doesn't exist.
            ("0::/docker/abc\n", &[("memory.max", "300\n")], Some(300)),
            (
                "5:cpu,cpuacct:/x\n4:memory:/a\n1:name=systemd:/y\n",
                &[
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("memory/a/memory.limit_in_bytes", "700\n"),
                    ("memory/x/memory.limit_in_bytes", "1\n"),
                ],
                Some(700),
            ),
            ("nonsense\n::\n0::/../../etc\n", &[("memory.max", "x\n")], None),
        ] {
            let root = tempfile::tempdir().unwrap();
            for (file, content) in files {
                write(root.path(), file, content);
            }
            assert_eq!(limit(groups, root.path()), expected, "{groups}");
        }
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(
            total("MemTotal:       16303428 kB\nMemFree: 1 kB\n"),
            Some(16_303_428 * 1024)
        );
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(total("MemTotal: 18446744073709551615 kB\n"), None);
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
