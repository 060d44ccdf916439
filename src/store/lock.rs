//! Keeps a second server off the same data: two of them would each believe to be the only writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::{StoreError, connection};

/// The lock's name in the data directory.
const FILE_NAME: &str = "proscenium.lock";

/// Held by a running server. The operating system lets go of it with the process, however that ends.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock of a data directory, which is made if it is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it, [`StoreError::Directory`] when nothing can be written there.
    pub fn take(data_dir: &Path) -> Result<Self, StoreError> {
        connection::make_directory(data_dir)?;
        let wrong = |error: std::io::Error| StoreError::Directory {
            path: data_dir.to_path_buf(),
            reason: error.to_string(),
        };
        let path = data_dir.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // Only to be helpful: without it the message is still right.
                let _ = (&file).take(32).read_to_string(&mut process);
                let process = process.trim();
                let who = if process.is_empty() {
                    String::new()
                } else {
                    format!(" (process {process})")
                };
                return Err(StoreError::InUse {
                    path: data_dir.to_path_buf(),
                    who,
                });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(&file, "{}", std::process::id()))
            .map_err(wrong)?;
        Ok(Self { _file: file })
    }
}
