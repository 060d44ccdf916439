//! What newcomers read first.

use std::path::Path;

use crate::files::{self, Source, report};

/// They are read in editors and diffs.
const COLUMNS_MAX: usize = 160;

/// The pages that show the way, and whose paths lead somewhere.
fn is_map(source: &Source) -> bool {
    source.path == "docs/ARCHITECTURE.md" || source.path == "CONTRIBUTING.md"
}

/// The places in which a path can begin.
const TOPS: [&str; 9] = [
    "benches/",
    "docs/",
    "fuzz/",
    "hls/",
    "sfu/",
    "signaling/",
    "src/",
    "tests/",
    "web/",
];

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `path` is a file or a folder, or a module of that name.
fn leads_somewhere(root: &Path, path: &str) -> bool {
    root.join(path).exists() || root.join(format!("{path}.rs")).exists()
}

#[test]
fn maps_have_lines_of_at_most_160_characters() {
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| is_map(source)) {
        for (index, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                complaints.push(format!(
                    "{}:{}: {columns} characters",
                    source.path,
                    index + 1
                ));
            }
        }
    }
    report("a map fits on a page", &complaints);
}

#[test]
fn paths_on_maps_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    let mut found = 0;
    for source in files::written().iter().filter(|source| is_map(source)) {
        for (index, line) in source.text.lines().enumerate() {
            for path in quoted(line).filter(|path| TOPS.iter().any(|top| path.starts_with(top))) {
                if path.contains([' ', '{', '*']) {
                    continue;
                }
                found += 1;
                if !leads_somewhere(root, path) {
                    complaints.push(format!("{}:{}: {path}", source.path, index + 1));
                }
            }
        }
    }
    assert!(
        found > 40,
        "only {found} paths on the maps: are they still read?"
    );
    report("what a map shows is there", &complaints);
}

#[test]
fn every_decision_is_numbered_once() {
    let mut numbers: Vec<_> = files::written()
        .iter()
        .filter_map(|source| {
            source
                .path
                .strip_prefix("docs/adr/")?
                .get(..4)
                .map(str::to_owned)
        })
        .collect();
    numbers.sort();
    let twice: Vec<_> = numbers
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].clone())
        .collect();
    report("a number names one decision", &twice);
}
