//! What can be wrong with what an operator said.

use std::path::PathBuf;

/// A mistake in flags, environment or file. Its text names the thing, the value and the next step.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be used.
    #[error("{origin}: `{value}` is {reason}")]
    Value {
        /// The flag, variable, or file, line and key.
        origin: String,
        /// As given.
        value: String,
        /// What would do instead.
        reason: String,
    },
    /// A key of the file that nothing reads.
    #[error("{path}, line {line}: unknown key `{key}`{place}; {advice}", path = path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// ` in [[space]]` and the like, or nothing.
        place: &'static str,
        /// The nearest key that is known, or all of them.
        advice: String,
    },
    /// The file is no TOML, or has the wrong shape.
    #[error("{path}, line {line}: {message}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong, without quoting the line: it may hold a key.
        message: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}; check the path given with --config, and who may read it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}
