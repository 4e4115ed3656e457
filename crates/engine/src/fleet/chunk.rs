//! States of up to 65,536 tasks of a job, as a list of runs or a map, whichever is smaller.
//!
//! A million tasks of which 30 % failed at random are 420,000 runs or half a MiB of maps
//! (PROTOCOL 28); a million tasks that end in order are a few runs.

use flota_model::state::TaskState;

/// Tasks of a full chunk.
pub const CHUNK_TASKS: u32 = 65_536;

/// With more runs than this a chunk becomes a map: 8 bytes a run, so both take 32 KiB then.
const RUNS_MAX: usize = 4_096;

/// A map with fewer runs than this becomes a list again when it is encoded.
const RUNS_BACK: usize = 1_024;

/// States of consecutive tasks, by their offset in the chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    count: u32,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Ascending by start, the first at 0; neighbours differ in state.
    Runs(Vec<Run>),
    /// Four bits a task, the lower half of a byte first.
    Map(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: u32,
    state: TaskState,
}

impl Chunk {
    /// `count` waiting tasks, 1..=65,536.
    pub fn waiting(count: u32) -> Self {
        let first = Run {
            start: 0,
            state: TaskState::Waiting,
        };
        Self {
            count,
            form: Form::Runs(vec![first]),
        }
    }

    /// Number of tasks.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The state of the task at `offset`, which must be below the count.
    pub fn state(&self, offset: u32) -> TaskState {
        match &self.form {
            Form::Runs(runs) => runs[run_at(runs, offset)].state,
            Form::Map(map) => get(map, offset),
        }
    }

    /// Gives `length` tasks from `first` on the same state. They must be within the chunk.
    pub fn set(&mut self, first: u32, length: u32, state: TaskState) {
        match &mut self.form {
            Form::Runs(runs) => {
                set_runs(runs, self.count, first, length, state);
                if runs.len() > RUNS_MAX {
                    self.form = Form::Map(map_of(runs, self.count));
                }
            }
            Form::Map(map) => {
                for offset in first..first + length {
                    put(map, offset, state);
                }
            }
        }
    }

    /// The first stretch of tasks in `state` at or after `from`: its start and length.
    pub fn next(&self, state: TaskState, from: u32) -> Option<(u32, u32)> {
        match &self.form {
            Form::Runs(runs) => {
                if from >= self.count {
                    return None;
                }
                let index =
                    (run_at(runs, from)..runs.len()).find(|index| runs[*index].state == state)?;
                let start = runs[index].start.max(from);
                Some((start, run_end(runs, index, self.count) - start))
            }
            Form::Map(map) => {
                let start = (from..self.count).find(|offset| get(map, *offset) == state)?;
                let end = (start..self.count).find(|offset| get(map, *offset) != state);
                Some((start, end.unwrap_or(self.count) - start))
            }
        }
    }

    /// Calls `each` with every stretch of equal states: start, length, state.
    pub fn for_each_run(&self, mut each: impl FnMut(u32, u32, TaskState)) {
        let mut start = 0;
        while start < self.count {
            let state = self.state(start);
            let (_, length) = self
                .next(state, start)
                .expect("the task at `start` is in it");
            each(start, length, state);
            start += length;
        }
    }

    /// Bytes for the store: a tag, the count, then runs (length − 1 as 16 bits, state) or the map.
    pub fn encode(&mut self) -> Vec<u8> {
        self.shrink();
        let mut bytes = Vec::new();
        match &self.form {
            Form::Runs(runs) => {
                bytes.push(0);
                bytes.extend_from_slice(&self.count.to_le_bytes());
                for (index, run) in runs.iter().enumerate() {
                    let length = run_end(runs, index, self.count) - run.start;
                    let less_one = u16::try_from(length - 1).expect("a chunk has 65,536 tasks");
                    bytes.extend_from_slice(&less_one.to_le_bytes());
                    bytes.push(run.state as u8);
                }
            }
            Form::Map(map) => {
                bytes.push(1);
                bytes.extend_from_slice(&self.count.to_le_bytes());
                bytes.extend_from_slice(map);
            }
        }
        bytes
    }

    /// Reads what [`Chunk::encode`] wrote; `None` if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count);
        if count == 0 || count > CHUNK_TASKS {
            return None;
        }
        let form = match tag {
            0 => Form::Runs(decode_runs(rest, count)?),
            1 => {
                let states = rest.iter().flat_map(|byte| [byte & 15, byte >> 4]);
                let known = states
                    .into_iter()
                    .all(|number| TaskState::from_number(number).is_some());
                let fits = rest.len() == (count as usize).div_ceil(2);
                (known && fits).then(|| Form::Map(rest.to_vec()))?
            }
            _ => return None,
        };
        Some(Self { count, form })
    }

    fn shrink(&mut self) {
        if let Form::Map(map) = &self.form {
            let mut runs: Vec<Run> = Vec::new();
            for start in 0..self.count {
                let state = get(map, start);
                if runs.last().is_none_or(|run| run.state != state) {
                    if runs.len() == RUNS_BACK {
                        return;
                    }
                    runs.push(Run { start, state });
                }
            }
            self.form = Form::Runs(runs);
        }
    }
}

fn decode_runs(bytes: &[u8], count: u32) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut start = 0_u32;
    let (triples, []) = bytes.as_chunks::<3>() else {
        return None;
    };
    for [low, high, number] in triples {
        let state = TaskState::from_number(*number)?;
        if start >= count || runs.last().is_some_and(|run| run.state == state) {
            return None;
        }
        runs.push(Run { start, state });
        start += u32::from(u16::from_le_bytes([*low, *high])) + 1;
    }
    (start == count && runs.len() <= RUNS_MAX).then_some(runs)
}

fn run_at(runs: &[Run], offset: u32) -> usize {
    runs.partition_point(|run| run.start <= offset) - 1
}

fn run_end(runs: &[Run], index: usize, count: u32) -> u32 {
    runs.get(index + 1).map_or(count, |next| next.start)
}

fn set_runs(runs: &mut Vec<Run>, count: u32, first: u32, length: u32, state: TaskState) {
    let end = first + length;
    let from = run_at(runs, first);
    let to = run_at(runs, end - 1);
    let mut new: [Option<Run>; 3] = [None; 3];
    if runs[from].start < first && runs[from].state != state {
        new[0] = Some(runs[from]);
    }
    let mut start = first;
    let mut replaced = from..to + 1;
    if runs[from].state == state {
        start = runs[from].start;
    } else if new[0].is_none() && from > 0 && runs[from - 1].state == state {
        replaced.start -= 1;
        start = runs[from - 1].start;
    }
    new[1] = Some(Run { start, state });
    let tail = run_end(runs, to, count);
    if tail > end && runs[to].state != state {
        new[2] = Some(Run {
            start: end,
            state: runs[to].state,
        });
    } else if tail == end && runs.get(to + 1).is_some_and(|next| next.state == state) {
        replaced.end += 1;
    }
    runs.splice(replaced, new.into_iter().flatten());
}

fn map_of(runs: &[Run], count: u32) -> Vec<u8> {
    let mut map = vec![0; (count as usize).div_ceil(2)];
    for (index, run) in runs.iter().enumerate() {
        for offset in run.start..run_end(runs, index, count) {
            put(&mut map, offset, run.state);
        }
    }
    map
}

fn get(map: &[u8], offset: u32) -> TaskState {
    let byte = map[offset as usize / 2];
    let number = if offset.is_multiple_of(2) {
        byte & 15
    } else {
        byte >> 4
    };
    TaskState::from_number(number).expect("only states are put into a map")
}

fn put(map: &mut [u8], offset: u32, state: TaskState) {
    let byte = &mut map[offset as usize / 2];
    let number = state as u8;
    *byte = if offset.is_multiple_of(2) {
        *byte & 0xf0 | number
    } else {
        *byte & 0x0f | number << 4
    };
}

#[cfg(test)]
mod tests;
