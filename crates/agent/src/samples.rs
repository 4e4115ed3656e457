//! What this machine does, looked at once a second.

mod parse;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use flota_model::{
    sample::{
        CORES_MAX, DEVICE_NAME_LENGTH_MAX, DEVICES_MAX, DeviceSample, NodeSample, SpaceSample,
    },
    units::{Bytes, Cpus, Moment},
};
use tokio::sync::mpsc;

use self::parse::{Counters, Ticks};
use crate::{
    input::Input,
    sys::{clock, code},
};

/// Between two samples.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest file that is read; `/proc/stat` of a thousand cores has some 100 KiB.
const FILE_LENGTH_MAX: u64 = 1 << 20;

/// As many samples after its start, an agent has done what it does only once.
const SETTLED_AFTER: u64 = 10;

/// Posts samples until it is dropped.
pub(crate) struct Sampler {
    /// Dropped: the thread ends.
    _end: Sender<()>,
}

impl Sampler {
    /// Begins at once. `data` is the folder whose disk is watched.
    pub(crate) fn start(data: PathBuf, post: mpsc::Sender<Input>) -> io::Result<Self> {
        let (end, ended) = channel();
        thread::Builder::new()
            .name("sampler".into())
            .spawn(move || run(&data, &post, &ended))?;
        Ok(Self { _end: end })
    }
}

fn run(data: &Path, post: &mpsc::Sender<Input>, ended: &Receiver<()>) {
    let mut samples = Samples::default();
    for number in 1_u64.. {
        if number == SETTLED_AFTER {
            // What only the start needs is half of what an idle agent has in memory.
            let released = code::release();
            tracing::debug!(?released, "let go of the code of the start");
        }
        let sample = samples.take(data);
        // A loop that is far behind gets a newer one later.
        let _ = post.try_send(Input::Sampled(Box::new(sample)));
        if ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// The reading before, for rates.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    at: Option<Moment>,
    /// All cores together, then each.
    ticks: Vec<Ticks>,
    disks: BTreeMap<String, Counters>,
    networks: BTreeMap<String, Counters>,
    buffer: String,
}

impl Samples {
    /// Looks at the machine.
    pub(crate) fn take(&mut self, data: &Path) -> NodeSample {
        let now = clock::now();
        let span = self.at.map(|then| now.moment.since(then));
        self.at = Some(now.moment);
        let mut sample = NodeSample {
            taken_at: now.wall,
            // CLOCK_BOOTTIME counts from the boot, as /proc/uptime does.
            uptime: Duration::from_micros(now.moment.0),
            data: space(data),
            ..NodeSample::default()
        };
        self.cores(&mut sample);
        sample.load = self.file("/proc/loadavg").and_then(parse::load);
        sample.memory = self.file("/proc/meminfo").and_then(parse::memory);
        sample.cpu_pressure = self.file("/proc/pressure/cpu").and_then(parse::pressure);
        sample.memory_pressure = self.file("/proc/pressure/memory").and_then(parse::pressure);
        sample.io_pressure = self.file("/proc/pressure/io").and_then(parse::pressure);
        let disks = self.file("/proc/diskstats").map(parse::disks);
        sample.disks = devices(&mut self.disks, disks.unwrap_or_default(), span);
        let networks = self.file("/proc/net/dev").map(parse::networks);
        sample.networks = devices(&mut self.networks, networks.unwrap_or_default(), span);
        sample
    }

    fn cores(&mut self, sample: &mut NodeSample) {
        let ticks = self
            .file("/proc/stat")
            .map(parse::cores)
            .unwrap_or_default();
        // Cores come and go; those of another number are counted anew.
        if ticks.len() == self.ticks.len() && ticks.len() > 1 {
            let count = u64::try_from(ticks.len() - 1).unwrap_or(u64::MAX);
            let busy = |index: usize, of: u64| {
                let thousandths = ticks[index].busy_since(self.ticks[index], of * 1_000)?;
                Some(Cpus(u32::try_from(thousandths).unwrap_or(u32::MAX)))
            };
            sample.cpu = busy(0, count);
            if ticks.len() <= CORES_MAX + 1 {
                let cores: Option<Vec<Cpus>> = (1..ticks.len()).map(|core| busy(core, 1)).collect();
                sample.cores = cores.unwrap_or_default();
            }
        }
        self.ticks = ticks;
    }

    /// The content of a file; `None` where there is none.
    fn file(&mut self, path: &str) -> Option<&str> {
        self.buffer.clear();
        let file = File::open(path).ok()?;
        file.take(FILE_LENGTH_MAX)
            .read_to_string(&mut self.buffer)
            .ok()?;
        Some(&self.buffer)
    }
}

fn devices(
    before: &mut BTreeMap<String, Counters>,
    now: BTreeMap<String, Counters>,
    span: Option<Duration>,
) -> Vec<DeviceSample> {
    let rate = |now: u64, then: u64| -> Option<Bytes> {
        let micros = u64::try_from(span?.as_micros())
            .ok()
            .filter(|span| *span > 0)?;
        let bytes = u128::from(now.checked_sub(then)?) * 1_000_000 / u128::from(micros);
        u64::try_from(bytes).ok().map(Bytes)
    };
    let shown = now
        .iter()
        .filter(|(name, _)| name.len() <= DEVICE_NAME_LENGTH_MAX)
        .take(DEVICES_MAX);
    let devices = shown
        .map(|(name, counters)| {
            let then = before.get(name);
            DeviceSample {
                name: name.clone(),
                incoming: Bytes(counters.incoming),
                outgoing: Bytes(counters.outgoing),
                incoming_rate: then.and_then(|then| rate(counters.incoming, then.incoming)),
                outgoing_rate: then.and_then(|then| rate(counters.outgoing, then.outgoing)),
            }
        })
        .collect();
    *before = now;
    devices
}

fn space(folder: &Path) -> Option<SpaceSample> {
    let status = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| Bytes(blocks.saturating_mul(status.f_frsize));
    Some(SpaceSample {
        total: bytes(status.f_blocks),
        free: bytes(status.f_bavail),
    })
}
