//! The journal of a deputy: the bytes of any agent's, in a file that is synced after every batch.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use flota_engine::journal::{Record, encode, recover};

/// The file. Few batches are written to it, so that each is synced.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Journal {
    /// Opens it, with what it holds. One that is damaged is set aside.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<Record>)> {
        fs::create_dir_all(folder)?;
        let path = folder.join("journal");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => drop(file.read_to_end(&mut bytes)?),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
        let mut found = recover(&bytes);
        if let Some(damage) = found.damage {
            tracing::error!(path = %path.display(), ?damage, "a damaged journal was set aside");
            fs::rename(&path, path.with_extension("damaged"))?;
            found.records.clear();
            found.valid_length = 0;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(found.valid_length)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let journal = Self {
            path,
            file,
            length: found.valid_length,
        };
        Ok((journal, found.records))
    }

    /// Appends a batch and syncs it.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(records, self.length, &mut bytes);
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes the place of all that was written.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(records, 0, &mut bytes);
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.length = bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flota_model::ids::{Nonce, SessionNumber};

    use super::*;

    #[test]
    fn what_was_appended_or_written_anew_comes_back_without_its_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let created = Record::Created { journal: Nonce(7) };
        let session = |number| Record::Session(SessionNumber(number));
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(records, []);
        journal.append(std::slice::from_ref(&created)).unwrap();
        journal.append(&[session(1), session(2)]).unwrap();
        drop(journal);
        let path = folder.path().join("journal");
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"FLJ1 torn");
        fs::write(&path, torn).unwrap();
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(records, [created.clone(), session(1), session(2)]);
        journal.rewrite(&[created.clone(), session(2)]).unwrap();
        journal.append(&[session(3)]).unwrap();
        drop(journal);
        let (_, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(records, [created, session(2), session(3)]);
    }
}
