//! Who may know whom.

use crate::files::{self, report};

/// The pure cores and what each may name of the others: nothing.
const CORES: [&str; 3] = ["sfu", "signaling", "hls"];

/// A crate's name, and the places that may say it.
const CONFINED: [(&str, &[&str]); 5] = [
    ("axum", &["src/http/", "tests/"]),
    (
        "str0m",
        &[
            "sfu/src/rtc/",
            "sfu/tests/",
            "sfu/benches/",
            "sfu/fuzz/",
            "fuzz/",
            "benches/",
            "tests/",
        ],
    ),
    (
        "str0m_proto",
        &["sfu/src/rtc/", "sfu/tests/", "fuzz/", "tests/"],
    ),
    ("retina", &["src/bridge/", "tests/"]),
    ("rusqlite", &["src/store/", "src/store.rs", "tests/"]),
];

/// What the cores must not do: they are given the time, the randomness and the bytes.
const IMPURE: [&str; 7] = [
    "Instant::now",
    "SystemTime::now",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::thread",
    "std::fs",
    "tokio",
];

/// Whether `line` names the crate `name` as a path or an import.
fn names(line: &str, name: &str) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let starts = |at: usize| at == 0 || !is_word(line.as_bytes().get(at - 1));
    line.match_indices(name).any(|(at, _)| {
        let rest = &line[at + name.len()..];
        starts(at)
            && (rest.starts_with("::")
                || (line.trim_start().starts_with("use ") && rest.starts_with(';')))
    })
}

#[test]
fn the_cores_never_name_one_another_or_the_shell() {
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| source.is_rust()) {
        let Some(core) = CORES
            .into_iter()
            .find(|core| source.path.starts_with(&format!("{core}/")))
        else {
            continue;
        };
        for (number, line) in source.text.lines().enumerate() {
            for other in CORES
                .into_iter()
                .chain(["proscenium"])
                .filter(|other| *other != core)
            {
                if !line.trim_start().starts_with("//") && names(line, other) {
                    complaints.push(format!(
                        "{}:{}: {core} names {other}",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    report("a core knows its own vocabulary only", &complaints);
}

#[test]
fn the_manifests_of_the_cores_list_no_other_core() {
    let mut complaints = Vec::new();
    for source in files::written() {
        let Some(core) = CORES
            .into_iter()
            .find(|core| source.path == format!("{core}/Cargo.toml"))
        else {
            continue;
        };
        for line in source.text.lines() {
            let dependency = line.split(['.', '=', ' ']).next().unwrap_or("");
            if dependency != core
                && (CORES.contains(&dependency)
                    || dependency == "proscenium"
                    || dependency == "tokio"
                    || dependency == "axum")
            {
                complaints.push(format!("{}: depends on {dependency}", source.path));
            }
        }
    }
    report(
        "sfu, signaling and hls never import one another",
        &complaints,
    );
}

#[test]
fn some_crates_are_named_in_their_own_place_only() {
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| source.is_rust()) {
        for (name, places) in CONFINED {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code_lines().filter(|(_, line)| names(line, name)) {
                complaints.push(format!(
                    "{}:{number}: names {name}, which belongs in {places:?}: {}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    report("a dependency stays behind its one door", &complaints);
}

#[test]
fn the_cores_touch_neither_clock_nor_network_nor_files() {
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| source.is_rust()) {
        if !CORES
            .iter()
            .any(|core| source.path.starts_with(&format!("{core}/src/")))
        {
            continue;
        }
        for (number, line) in source.code_lines() {
            for impure in IMPURE.into_iter().filter(|impure| line.contains(impure)) {
                complaints.push(format!("{}:{number}: {impure}", source.path));
            }
        }
    }
    report("the cores do no I/O", &complaints);
}

#[test]
fn only_the_clock_asks_the_time() {
    let mut complaints = Vec::new();
    for source in files::written()
        .iter()
        .filter(|source| source.is_rust() && source.path.starts_with("src/"))
    {
        if source.path == "src/clock.rs" {
            continue;
        }
        for (number, line) in source.code_lines() {
            // `tokio::time` keeps its own clock for timers; asking what time it is goes through `clock`.
            if line.contains("Instant::now(") || line.contains("SystemTime::now(") {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    report("only src/clock.rs asks the time", &complaints);
}

#[test]
fn each_core_has_lints_against_impurity() {
    let sources = files::all();
    let mut complaints = Vec::new();
    for core in CORES {
        let path = format!("{core}/clippy.toml");
        match sources.iter().find(|source| source.path == path) {
            None => complaints.push(format!("{path} is missing")),
            Some(lints) if !lints.text.contains("disallowed-methods") => {
                complaints.push(format!("{path} disallows no methods"))
            }
            Some(_) => {}
        }
    }
    report("clippy guards the cores", &complaints);
}

#[test]
fn a_name_is_found_as_a_path_but_not_inside_a_word() {
    assert!(names("use str0m::Rtc;", "str0m"));
    assert!(names("let rtc = str0m::Rtc::new();", "str0m"));
    assert!(names("    use axum;", "axum"));
    assert!(!names("use axum_extra::TypedHeader;", "axum"));
    assert!(!names("let my_str0m::x", "str0m"));
    assert!(!names("the str0m engine", "str0m"));
}
