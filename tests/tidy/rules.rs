//! How files look.

use crate::dependencies;
use crate::files::{self, report};

/// More lines than this are more than one concern.
const LINES_MAX: usize = 600;

/// Words that belong to somebody's machine. Split, so that this file does not contain them.
const MACHINE_WORDS: [(&str, &str); 12] = [
    ("/home", "/"),
    ("/root", "/"),
    ("/Users", "/"),
    ("/work", "/main"),
    ("/work", "/shared"),
    ("/tmp", "/team"),
    ("registry.npmjs", ".org"),
    ("files.pythonhosted", ".org"),
    ("pypi", ".org/simple"),
    ("static.crates", ".io"),
    ("deb.debian", ".org"),
    ("/opt", "/wheels"),
];

#[test]
fn no_file_is_longer_than_600_lines() {
    let mut complaints = Vec::new();
    for source in files::written() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!(
                "{}: {lines} lines; split it by concern",
                source.path
            ));
        }
    }
    report("files stay readable", &complaints);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    let macros = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut complaints = Vec::new();
    for source in files::written() {
        for (index, line) in source.text.lines().enumerate() {
            let words = || line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let marked = marks.iter().any(|mark| words().any(|word| word == *mark));
            if marked || (source.is_rust() && macros.iter().any(|name| line.contains(name))) {
                complaints.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    report("what is committed is finished", &complaints);
}

#[test]
fn product_code_never_unwraps() {
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| source.is_rust()) {
        for (number, line) in source
            .code_lines()
            .filter(|(_, line)| line.contains(".unwrap()"))
        {
            complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    report(
        "`expect` says why it cannot happen, `unwrap` does not",
        &complaints,
    );
}

#[test]
fn nothing_speaks_of_one_machine() {
    let mut complaints = Vec::new();
    for source in files::all() {
        for (index, line) in source.text.lines().enumerate() {
            for (head, tail) in MACHINE_WORDS {
                if line.contains(&format!("{head}{tail}")) {
                    complaints.push(format!("{}:{}: {head}{tail}", source.path, index + 1));
                }
            }
        }
    }
    report("the repository is about the product alone", &complaints);
}

#[test]
fn lines_end_plainly() {
    let mut complaints = Vec::new();
    for source in files::written() {
        let name = &source.path;
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            complaints.push(format!("{name}: no line feed at the end"));
        }
        for (index, line) in source.text.lines().enumerate() {
            let prose = name.ends_with(".md");
            if line.ends_with('\r') || (!prose && line.ends_with([' ', '\t'])) {
                complaints.push(format!(
                    "{name}:{}: white space at the end of the line",
                    index + 1
                ));
            }
        }
    }
    report("text files are plain", &complaints);
}

#[test]
fn every_crate_says_first_what_it_does_not_do() {
    let mut complaints = Vec::new();
    for source in files::written() {
        let is_root = source.path == "src/lib.rs"
            || dependencies::places().any(|place| source.path == format!("{place}src/lib.rs"));
        if !is_root {
            continue;
        }
        let doc: String = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
            .replace('*', "");
        let says = [" not ", " no ", " never ", " nothing "]
            .iter()
            .any(|word| doc.contains(word));
        if !says {
            complaints.push(format!(
                "{}: its documentation does not say what the crate deliberately leaves to others",
                source.path
            ));
        }
    }
    report("a crate is described by its absences", &complaints);
}
