//! Whether a file may be mapped. On a network file system, another machine can remove or replace the pages of a mapped file, and the
//! process that reads them next is killed by a signal.

use std::fs::File;

/// Whether a file is on a file system that only this machine changes. Of one that isn't known, it isn't assumed.
#[cfg(target_os = "linux")]
pub(super) fn is_on_local_disk(file: &File) -> bool {
    let system = rustix::fs::fstatfs(file).ok();
    let number = system.and_then(|system| u32::try_from(system.f_type).ok());
    number.is_some_and(|number| LOCAL.iter().any(|(local, _)| *local == number))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_on_local_disk(_file: &File) -> bool {
    false
}

/// The local file systems, by the number that the kernel has for each (statfs(2), linux/magic.h).
#[cfg(target_os = "linux")]
const LOCAL: [(u32, &str); 11] = [
    (0x0000_ef53, "ext2, ext3, ext4"),
    (0x0102_1994, "tmpfs"),
    (0x2fc1_2fc1, "zfs"),
    (0x5846_5342, "xfs"),
    (0x7371_7368, "squashfs"),
    (0x794c_7630, "overlayfs"),
    (0x8584_58f6, "ramfs"),
    (0x9123_683e, "btrfs"),
    (0xca45_1a4e, "bcachefs"),
    (0xe0f5_e1e2, "erofs"),
    (0xf2f5_2010, "f2fs"),
];
