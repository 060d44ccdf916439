//! The few things that are done with files, each of which leaves either the old or the new state behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::layout::{DELETED_SUFFIX, UNFINISHED_SUFFIX};

/// The file system; in tests one that can be full.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    /// Bytes that still fit.
    #[cfg(test)]
    pub(super) room: Option<std::sync::Arc<std::sync::atomic::AtomicU64>>,
}

impl Disk {
    /// Writes `bytes` at the place `at` of a file, its end as far as the index knows; the file is made if missing. After
    /// an error the file ends at `at` again, as far as the disk allows; the next one overwrites what is left.
    ///
    /// The file is not kept open: once in two seconds for each rendition that costs nothing, and no limit of open files
    /// needs to know of recordings.
    pub(super) fn append(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let written = self.write(&mut file, bytes);
        if written.is_err() {
            // The error that matters is the first one.
            let _ = file.set_len(at);
        }
        written
    }

    /// Makes a file that nothing refers to yet; after an error there is none.
    pub(super) fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let written = File::create(path).and_then(|mut file| self.write(&mut file, bytes));
        if written.is_err() {
            // The error that matters is the first one.
            let _ = fs::remove_file(path);
        }
        written
    }

    /// Takes back what was appended at `at`.
    pub(super) fn cut(&self, path: &Path, at: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let surplus = file.metadata()?.len().saturating_sub(at);
        if surplus == 0 {
            return Ok(());
        }
        #[cfg(test)]
        self.give_back(surplus);
        file.set_len(at)
    }

    /// Puts a whole file in place, or leaves what was there. It is on the disk before this returns.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(UNFINISHED_SUFFIX);
        let unfinished = PathBuf::from(name);
        let written = File::create(&unfinished)
            .and_then(|mut file| self.write(&mut file, bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Deletes a file; one that is gone already is no error.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.give_back(fs::metadata(path).map_or(0, |metadata| metadata.len()));
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes the directory of a life, in such a way that after a crash it is either whole or known to be deleted.
    pub(super) fn remove_life(&self, directory: &Path) -> io::Result<()> {
        let mut name = directory.as_os_str().to_owned();
        name.push(DELETED_SUFFIX);
        let deleted = PathBuf::from(name);
        match fs::rename(directory, &deleted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        #[cfg(test)]
        for file in fs::read_dir(&deleted)?.flatten() {
            self.give_back(file.metadata()?.len());
        }
        fs::remove_dir_all(&deleted)?;
        // The stream's and the space's directory, when this was the last in it: they refuse if not.
        let parents = directory.ancestors().skip(1).take(2);
        let _ = parents.map(fs::remove_dir).all(|removed| removed.is_ok());
        Ok(())
    }

    /// What has been written reaches the disk before this returns.
    pub(super) fn sync(&self, path: &Path) -> io::Result<()> {
        // For writing: Windows syncs nothing else.
        match OpenOptions::new().write(true).open(path) {
            Ok(file) => file.sync_data(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(room) = &self.room {
            let left = room.load(std::sync::atomic::Ordering::Relaxed);
            let fits = left.min(bytes.len() as u64);
            room.fetch_sub(fits, std::sync::atomic::Ordering::Relaxed);
            file.write_all(&bytes[..fits as usize])?;
            if fits < bytes.len() as u64 {
                // What did not fit is cut off by the caller.
                self.give_back(fits);
                return Err(io::ErrorKind::StorageFull.into());
            }
            return Ok(());
        }
        file.write_all(bytes)
    }

    #[cfg(test)]
    fn give_back(&self, bytes: u64) {
        if let Some(room) = &self.room {
            room.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Whether deleting something else would help.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
