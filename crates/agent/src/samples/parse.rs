//! Files of `/proc` about the machine as a whole: text to numbers.

use std::collections::BTreeMap;

use flota_model::{
    sample::{MemorySample, Pressure},
    units::Bytes,
};

/// `/proc/diskstats` counts in sectors of this size, whatever the disk has
/// (`Documentation/admin-guide/iostats.rst` of the kernel).
const SECTOR_BYTES: u64 = 512;

/// Ticks of one core since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// The part of the time since `before` in which it was busy, where 1 is `whole`. `None` when no
    /// tick has passed, or they were set back.
    pub(super) fn busy_since(self, before: Self, whole: u64) -> Option<u64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        // Waiting for disks may be set back a little (`man 5 proc_stat`).
        let busy = self.busy.saturating_sub(before.busy).min(all);
        Some(busy.saturating_mul(whole) / all)
    }
}

/// Bytes in and out since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counters {
    pub(super) incoming: u64,
    pub(super) outgoing: u64,
}

/// All cores together, then each (`man 5 proc_stat`). Time of guests is in that of users already.
pub(super) fn cores(text: &str) -> Vec<Ticks> {
    let lines = text.lines().map_while(|line| line.strip_prefix("cpu"));
    lines
        .map(|line| {
            let fields = line.split_ascii_whitespace();
            let is_total = line.starts_with(' ');
            let mut ticks = Ticks::default();
            let values = fields.skip(usize::from(!is_total)).take(8);
            for (index, value) in values.enumerate() {
                let value: u64 = value.parse().unwrap_or(0);
                ticks.all = ticks.all.saturating_add(value);
                // Idle, and idle while a disk works.
                if !matches!(index, 3 | 4) {
                    ticks.busy = ticks.busy.saturating_add(value);
                }
            }
            ticks
        })
        .collect()
}

/// In hundredths.
pub(super) fn load(text: &str) -> Option<[u32; 3]> {
    let mut fields = text.split_ascii_whitespace();
    let mut next = || hundredths(fields.next()?);
    Some([next()?, next()?, next()?])
}

/// A number with two decimals.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.')?;
    let fraction: u32 = (fraction.len() == 2).then(|| fraction.parse().ok())??;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(100)?
        .checked_add(fraction)
}

pub(super) fn memory(text: &str) -> Option<MemorySample> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Bytes(kibibytes.saturating_mul(1024)))
    };
    Some(MemorySample {
        total: field("MemTotal:")?,
        available: field("MemAvailable:")?,
        swap_total: field("SwapTotal:")?,
        swap_free: field("SwapFree:")?,
    })
}

/// The shares of the last ten seconds.
pub(super) fn pressure(text: &str) -> Option<Pressure> {
    let share = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        let value = line.trim_start().strip_prefix("avg10=")?;
        let value = hundredths(value.split(' ').next()?)?;
        u16::try_from(value.min(10_000)).ok()
    };
    Some(Pressure {
        some: share("some")?,
        full: share("full").unwrap_or(0),
    })
}

/// Whole disks that were ever used; not what lies on others (partitions, loops, memory).
pub(super) fn disks(text: &str) -> BTreeMap<String, Counters> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.nth(2)?;
        let sectors_read: u64 = fields.nth(2)?.parse().ok()?;
        let sectors_written: u64 = fields.nth(3)?.parse().ok()?;
        let counters = Counters {
            incoming: sectors_read.saturating_mul(SECTOR_BYTES),
            outgoing: sectors_written.saturating_mul(SECTOR_BYTES),
        };
        (is_disk(name) && counters != Counters::default()).then(|| (name.to_owned(), counters))
    });
    lines.collect()
}

fn is_disk(name: &str) -> bool {
    let virtual_ones = ["loop", "ram", "zram", "dm-", "md", "sr", "fd"];
    if virtual_ones.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    let ends_in_digit = name.ends_with(|letter: char| letter.is_ascii_digit());
    if name.starts_with("nvme") || name.starts_with("mmcblk") {
        // `nvme0n1p2`, `mmcblk0p1`
        return !name.rsplit_once('p').is_some_and(|(disk, part)| {
            disk.ends_with(|letter: char| letter.is_ascii_digit())
                && part.bytes().all(|byte| byte.is_ascii_digit())
        });
    }
    // `sda1`, `vdb2`
    !ends_in_digit
}

/// All interfaces but the loopback (`man 5 proc_pid_net`).
pub(super) fn networks(text: &str) -> BTreeMap<String, Counters> {
    let lines = text.lines().skip(2).filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let name = name.trim();
        let mut fields = rest.split_ascii_whitespace();
        let counters = Counters {
            incoming: fields.next()?.parse().ok()?,
            outgoing: fields.nth(7)?.parse().ok()?,
        };
        (name != "lo").then(|| (name.to_owned(), counters))
    });
    lines.collect()
}
