//! The repository's own text files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that people write, with its path from the repository's root.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The part before the file's test module; nothing of a file that holds tests alone.
    pub(crate) fn product_code(&self) -> &str {
        let tests_alone = [
            "/tests/",
            "/tests.rs",
            "_tests.rs",
            "/benches/",
            "/examples/",
        ];
        let rooted = format!("/{}", self.path);
        if tests_alone.iter().any(|part| rooted.contains(part)) || rooted.starts_with("/fuzz/") {
            return "";
        }
        self.text.split("\nmod tests {").next().unwrap_or("")
    }

    /// Lines of `product_code` that are not comments, with their numbers.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.product_code().lines().enumerate();
        numbered
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Written by programs or by others: exempt from the rules about style.
fn is_foreign(path: &str) -> bool {
    path.contains("/vendor/")
        || path.contains("/seeds/")
        || path.ends_with("Cargo.lock")
        || path.ends_with("package-lock.json")
        || path.ends_with("requirements.txt")
}

/// Every text file that is committed or about to be.
pub(crate) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root)
        .output()
        .expect("git lists the files");
    assert!(
        listed.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let paths = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let sources: Vec<Source> = paths
        .split_terminator('\0')
        .filter_map(|path| read(root.join(path), path))
        .collect();
    assert!(
        sources.len() > 20,
        "only {} files found: is this the repository?",
        sources.len()
    );
    sources
}

/// Every text file that people write.
pub(crate) fn written() -> Vec<Source> {
    all()
        .into_iter()
        .filter(|source| !is_foreign(&source.path))
        .collect()
}

/// `None` for pictures and films, and for what was deleted but not yet committed.
fn read(file: PathBuf, path: &str) -> Option<Source> {
    let text = String::from_utf8(std::fs::read(file).ok()?).ok()?;
    Some(Source {
        path: path.to_owned(),
        text,
    })
}

/// Fails with all complaints at once.
pub(crate) fn report(rule: &str, complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{rule}:\n  {}",
        complaints.join("\n  ")
    );
}
