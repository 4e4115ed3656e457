//! The bytes of the settings of a program.

use std::collections::BTreeMap;

use flota_model::{
    execution::{Bound, Execution, IO_LEVELS, IoPriority, Limits, ResourceLimit},
    units::{Bytes, Cpus},
};

use crate::{
    journal::bytes::{Code, Reader, code_fields, code_number},
    keeper::codec::CodecFault,
};

code_number!(Bytes, Cpus);
code_fields!(Bound { soft, hard });
code_fields!(Limits {
    memory,
    swap,
    pids,
    cpus,
    cpu_weight,
    io_weight,
    best_effort
});

macro_rules! small {
    ($($type:ty as $wide:ty),*) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                <$wide>::from(*self).put(out);
            }

            fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
                Self::try_from(<$wide>::take(input)?).map_err(|_| CodecFault::OutOfRange)
            }
        }
    )*};
}

small!(u16 as u32, i8 as i32, i16 as i32);

impl Code for IoPriority {
    fn put(&self, out: &mut Vec<u8>) {
        let number = match self {
            Self::Idle => 0,
            Self::BestEffort(level) => 1 + level,
            Self::RealTime(level) => 1 + IO_LEVELS + level,
        };
        out.push(number);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let number = input.byte()?;
        match number.checked_sub(1) {
            None => Ok(Self::Idle),
            Some(level) if level < IO_LEVELS => Ok(Self::BestEffort(level)),
            Some(level) if level < 2 * IO_LEVELS => Ok(Self::RealTime(level - IO_LEVELS)),
            Some(_) => Err(CodecFault::Tag(number)),
        }
    }
}

impl Code for ResourceLimit {
    fn put(&self, out: &mut Vec<u8>) {
        self.word().to_owned().put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Self::of_word(&String::take(input)?).ok_or(CodecFault::OutOfRange)
    }
}

impl Code for Execution {
    fn put(&self, out: &mut Vec<u8>) {
        self.user.put(out);
        self.group.put(out);
        self.groups.put(out);
        self.umask.put(out);
        self.nice.put(out);
        self.io_priority.put(out);
        let limits: Vec<(ResourceLimit, Bound)> = self
            .resource_limits
            .iter()
            .map(|(limit, bound)| (*limit, *bound))
            .collect();
        limits.put(out);
        self.oom_score_adjust.put(out);
        self.new_privileges.put(out);
        self.limits.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(Self {
            user: Code::take(input)?,
            group: Code::take(input)?,
            groups: Code::take(input)?,
            umask: Code::take(input)?,
            nice: Code::take(input)?,
            io_priority: Code::take(input)?,
            resource_limits: Vec::<(ResourceLimit, Bound)>::take(input)?
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            oom_score_adjust: Code::take(input)?,
            new_privileges: Code::take(input)?,
            limits: Code::take(input)?,
        })
    }
}
