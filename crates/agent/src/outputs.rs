//! What programs and kernels leave: small outputs go into the report, large ones get a name.

#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use flota_model::{
    frame::{OUTPUT_PART_MAX, OutputFault, OutputPart},
    ids::AttemptId,
    outcome::{INLINE_OUTPUT_MAX, Output, Stream, StreamName},
};
use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::{
    keeper::{CUT, partial_name},
    sys::files,
};

/// The two files of a program.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// The folder of outputs.
#[derive(Debug)]
pub(crate) struct Outputs {
    folder: OwnedFd,
    bytes_max: u64,
}

/// The name of a large output.
pub(crate) fn final_name(attempt: AttemptId, stream: StreamName) -> String {
    format!("{attempt}.{}", stream.word())
}

impl Outputs {
    /// `bytes_max` is the longest output of a stream that is kept.
    pub(crate) fn new(folder: BorrowedFd<'_>, bytes_max: u64) -> io::Result<Self> {
        Ok(Self {
            folder: folder.try_clone_to_owned()?,
            bytes_max,
        })
    }

    /// Whether nothing was written: then there is nothing to collect.
    pub(crate) fn is_empty(streams: &Streams) -> bool {
        [&streams.stdout, &streams.stderr].into_iter().all(|file| {
            rustix::fs::fstat(file).is_ok_and(|status| status.st_size == 0 && status.st_nlink == 0)
        })
    }

    /// Whether all of it fits into the report, so that collecting it is quick.
    pub(crate) fn is_small(streams: &Streams) -> bool {
        [&streams.stdout, &streams.stderr].into_iter().all(|file| {
            rustix::fs::fstat(file)
                .is_ok_and(|status| length(&status) <= INLINE_OUTPUT_MAX as u64 && !is_cut(&status))
        })
    }

    /// Takes what a program wrote that has ended with its whole tree. Where nobody has its
    /// descriptors any more, a file that got a name before is looked for. What was named must be
    /// synced ([`Self::sync`]) before it is reported.
    pub(crate) fn collect(
        &self,
        attempt: AttemptId,
        streams: Option<&Streams>,
    ) -> Option<Box<Output>> {
        let file = |stream| match streams {
            Some(Streams { stdout, .. }) if stream == StreamName::Stdout => {
                stdout.try_clone().map(Some)
            }
            Some(Streams { stderr, .. }) => stderr.try_clone().map(Some),
            None => self.find(attempt, stream),
        };
        let take = |stream| {
            let taken = file(stream).and_then(|file| match file {
                Some(file) => self.take(attempt, stream, &file),
                None => Ok(Stream::Empty),
            });
            taken.unwrap_or_else(|error| {
                tracing::error!(%attempt, stream = stream.word(), %error, "an output is lost");
                Stream::Empty
            })
        };
        boxed(Output {
            stdout: take(StreamName::Stdout),
            stderr: take(StreamName::Stderr),
            result: Stream::Empty,
        })
    }

    /// Keeps what a kernel returned; as for [`Self::collect`].
    pub(crate) fn keep_result(
        &self,
        attempt: AttemptId,
        bytes: Vec<u8>,
    ) -> io::Result<Option<Box<Output>>> {
        let result = if bytes.is_empty() {
            Stream::Empty
        } else if bytes.len() <= INLINE_OUTPUT_MAX {
            Stream::Inline(bytes)
        } else {
            let kept = usize::try_from(self.bytes_max)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let file = files::named(&self.folder, &final_name(attempt, StreamName::Result))?;
            let mut rest = bytes.get(..kept).unwrap_or_default();
            while !rest.is_empty() {
                let written = rustix::io::write(&file, rest)?;
                rest = rest.get(written..).unwrap_or_default();
            }
            Stream::OnNode {
                length: kept as u64,
                truncated: kept < bytes.len(),
            }
        };
        Ok(boxed(Output {
            result,
            ..Output::default()
        }))
    }

    /// Makes files and names durable, with one call for all.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.folder)?)
    }

    /// Reads a part of an output; `running` where the attempt has not ended.
    pub(crate) fn read(
        &self,
        (attempt, stream): (AttemptId, StreamName),
        running: Option<BorrowedFd<'_>>,
        offset: u64,
        length: u32,
    ) -> Result<OutputPart, OutputFault> {
        let opened;
        let (file, growing) = match running {
            Some(file) => (file, true),
            None => {
                let found = self.find(attempt, stream).map_err(unreadable)?;
                opened = found.ok_or(OutputFault::Gone)?;
                (opened.as_fd(), false)
            }
        };
        let status = rustix::fs::fstat(file).map_err(|error| unreadable(error.into()))?;
        let wanted = usize::try_from(length.min(OUTPUT_PART_MAX)).unwrap_or(0);
        Ok(OutputPart {
            bytes: files::read_at(file, offset, wanted).map_err(unreadable)?,
            length: self::length(&status),
            growing,
        })
    }

    /// Removes what programs of no keeper left: outputs that could not be without a name, of
    /// attempts that `is_held` does not know.
    pub(crate) fn clean(&self, is_held: impl Fn(AttemptId) -> bool) {
        let Ok(folder) = rustix::fs::Dir::read_from(&self.folder) else {
            return;
        };
        for entry in folder.flatten() {
            let name = entry.file_name().to_str().unwrap_or_default();
            let attempt = name
                .strip_suffix(".partial")
                .and_then(|name| name.rsplit_once('.'));
            let attempt = attempt.and_then(|(attempt, _)| attempt.parse().ok());
            if attempt.is_some_and(|attempt| !is_held(attempt)) {
                self.remove(name);
            }
        }
    }

    fn take(&self, attempt: AttemptId, stream: StreamName, file: &OwnedFd) -> io::Result<Stream> {
        let status = rustix::fs::fstat(file)?;
        let truncated = is_cut(&status) || length(&status) > self.bytes_max;
        let length = length(&status).min(self.bytes_max);
        let is_named = status.st_nlink > 0;
        if length <= INLINE_OUTPUT_MAX as u64 && !truncated {
            let bytes = files::read_at(file, 0, INLINE_OUTPUT_MAX)?;
            if is_named {
                self.remove(&partial_name(attempt, stream));
                self.remove(&final_name(attempt, stream));
            }
            return Ok(if bytes.is_empty() {
                Stream::Empty
            } else {
                Stream::Inline(bytes)
            });
        }
        rustix::fs::ftruncate(file, length)?;
        self.name(attempt, stream, file)?;
        Ok(Stream::OnNode { length, truncated })
    }

    /// Gives an output its final name, also where an earlier agent has done so and not reported it.
    fn name(&self, attempt: AttemptId, stream: StreamName, file: &OwnedFd) -> io::Result<()> {
        let (partial, name) = (partial_name(attempt, stream), final_name(attempt, stream));
        match rustix::fs::renameat(&self.folder, partial, &self.folder, &name) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        match files::link(file, &self.folder, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // It has this name already: only files that never had one can be given one.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.find(attempt, stream)?.is_some() =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn find(&self, attempt: AttemptId, stream: StreamName) -> io::Result<Option<OwnedFd>> {
        for name in [final_name(attempt, stream), partial_name(attempt, stream)] {
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::openat(&self.folder, name, flags, Mode::empty()) {
                Ok(file) => return Ok(Some(file)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn remove(&self, name: &str) {
        // What is not there need not be removed.
        let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
    }

    /// Whether a file is on our file system and has no name: an output, if a program has it as its
    /// stdout or stderr and has not put another one there.
    pub(crate) fn may_be_output(&self, file: &OwnedFd) -> bool {
        let folder = rustix::fs::fstat(&self.folder);
        let file = rustix::fs::fstat(file);
        folder.is_ok_and(|folder| {
            file.is_ok_and(|file| {
                let is_regular = rustix::fs::FileType::from_raw_mode(file.st_mode).is_file();
                is_regular && file.st_dev == folder.st_dev && file.st_nlink == 0
            })
        })
    }
}

/// `None` for nothing, which costs no memory.
fn boxed(output: Output) -> Option<Box<Output>> {
    (output != Output::default()).then(|| Box::new(output))
}

fn length(status: &rustix::fs::Stat) -> u64 {
    u64::try_from(status.st_size).unwrap_or(0)
}

fn is_cut(status: &rustix::fs::Stat) -> bool {
    status.st_mode & CUT != 0
}

fn unreadable(error: io::Error) -> OutputFault {
    OutputFault::Unreadable {
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}
