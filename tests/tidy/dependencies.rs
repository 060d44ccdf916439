//! Who may know whom.

use std::collections::BTreeSet;

use crate::files::{self, report};

/// The crates beside the shell: each one's name, its place, and what it may name of the others. The shell may name all of them,
/// and none of them the shell.
const ARROWS: [(&str, &str, &[&str]); 10] = [
    ("dtls", "sfu/dtls/", &[]),
    ("payload", "sfu/payload/", &[]),
    ("sfu", "sfu/", &["dtls", "payload"]),
    ("allowance", "signaling/allowance/", &[]),
    ("bus", "signaling/bus/", &["allowance"]),
    (
        "conference",
        "signaling/conference/",
        &["allowance", "venue"],
    ),
    ("venue", "signaling/venue/", &["sfu"]),
    ("wish", "signaling/wish/", &[]),
    ("hls", "hls/", &["payload"]),
    ("transcode", "hls/transcode/", &["hls", "payload"]),
];

/// Members of the workspace without arrows: the shell, and a tool of the benches that knows the product by its wire alone.
const OUTSIDE: [&str; 2] = [".", "tests/bench/load"];

/// A crate's name, and the places that may say it.
const CONFINED: [(&str, &[&str]); 14] = [
    ("axum", &["src/http/", "tests/"]),
    (
        "str0m",
        &["sfu/src/rtc/", "sfu/dtls/", "fuzz/", "benches/", "tests/"],
    ),
    (
        "str0m_proto",
        &["sfu/src/rtc/", "sfu/dtls/", "fuzz/", "tests/"],
    ),
    ("openssl", &["sfu/dtls/"]),
    ("openssl_sys", &["sfu/dtls/"]),
    ("dimpl", &["sfu/dtls/"]),
    ("audio_codec", &["hls/transcode/"]),
    ("jpeg_encoder", &["hls/transcode/"]),
    ("openh264", &["hls/transcode/"]),
    ("opus_rs", &["hls/transcode/"]),
    ("rubato", &["hls/transcode/"]),
    ("syom", &["hls/transcode/"]),
    ("retina", &["src/bridge/", "tests/"]),
    ("rusqlite", &["src/store/", "src/store.rs", "tests/"]),
];

/// What pure crates must not do: they are given the time, the randomness and the bytes.
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

/// The crate that a file belongs to, with what it may name; an area's crate does not own the crates inside it.
fn crate_of(path: &str) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    ARROWS
        .into_iter()
        .filter(|(_, place, _)| path.starts_with(place))
        .max_by_key(|(_, place, _)| place.len())
}

/// Where the crates beside the shell lie, each with a slash at the end.
pub(crate) fn places() -> impl Iterator<Item = &'static str> {
    ARROWS.into_iter().map(|(_, place, _)| place)
}

/// What `name` must not name.
fn forbidden(name: &str, may: &[&str]) -> Vec<&'static str> {
    let others = ARROWS.into_iter().map(|(other, ..)| other);
    others
        .chain(["proscenium"])
        .filter(|other| *other != name && !may.contains(other))
        .collect()
}

#[test]
fn the_table_of_arrows_lists_the_workspace() {
    let sources = files::written();
    let root = sources.iter().find(|source| source.path == "Cargo.toml");
    let root: toml::Table = root
        .expect("a manifest")
        .text
        .parse()
        .expect("Cargo reads it");
    let members = root["workspace"]["members"].as_array().expect("a list");
    let members: BTreeSet<_> = members
        .iter()
        .filter_map(|member| member.as_str())
        .filter(|member| !OUTSIDE.contains(member))
        .collect();
    let places: BTreeSet<_> = places().map(|place| place.trim_end_matches('/')).collect();
    assert_eq!(members, places, "the members and the places of the table");
}

/// A crate can only name what its manifest lists.
#[test]
fn manifests_list_one_another_as_the_arrows_say() {
    let mut complaints = Vec::new();
    for source in files::written() {
        let Some((name, _, may)) =
            crate_of(&source.path).filter(|_| source.path.ends_with("/Cargo.toml"))
        else {
            continue;
        };
        let mut forbidden = forbidden(name, may);
        if is_pure(&source.text) {
            forbidden.extend(["tokio", "axum"]);
        }
        for dependency in listed(&source.text) {
            if forbidden.contains(&dependency.as_str()) {
                complaints.push(format!("{}: depends on {dependency}", source.path));
            }
        }
    }
    report("a crate depends on what the arrows allow", &complaints);
}

/// What a manifest lists for the product, for its tests and for its building; by the package's own name, whatever it is called here.
fn listed(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo reads it");
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flatten()
        .map(|(name, how)| {
            let package = how.get("package").and_then(|package| package.as_str());
            package.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn a_dependency_is_found_however_it_is_written() {
    let manifest = "[dependencies]\na.workspace = true\nb = { package = \"c\", path = \"c\" }\n\n[dev-dependencies.d]\nversion = \"1\"\n";
    let expected = ["a", "c", "d"].map(str::to_owned);
    assert_eq!(listed(manifest), BTreeSet::from(expected));
}

/// Whether a manifest says that its crate is pure.
fn is_pure(manifest: &str) -> bool {
    let manifest: toml::Table = manifest.parse().expect("Cargo reads it");
    let metadata = manifest["package"].get("metadata");
    metadata
        .and_then(|metadata| metadata.get("house")?.get("pure")?.as_bool())
        .unwrap_or(false)
}

/// The places of the crates that say so.
fn pure() -> Vec<&'static str> {
    let sources = files::all();
    let manifest = |place: &str| {
        let path = format!("{place}Cargo.toml");
        sources
            .iter()
            .find(|source| source.path == path)
            .unwrap_or_else(|| panic!("{path} is missing"))
    };
    places()
        .filter(|place| is_pure(&manifest(place).text))
        .collect()
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
fn pure_crates_touch_neither_clock_nor_network_nor_files() {
    let pure = pure();
    let mut complaints = Vec::new();
    for source in files::written().iter().filter(|source| source.is_rust()) {
        let is_ours = crate_of(&source.path).is_some_and(|(_, place, _)| {
            pure.contains(&place) && source.path.starts_with(&format!("{place}src/"))
        });
        if !is_ours {
            continue;
        }
        for (number, line) in source.code_lines() {
            for impure in IMPURE.into_iter().filter(|impure| line.contains(impure)) {
                complaints.push(format!("{}:{number}: {impure}", source.path));
            }
        }
    }
    report("pure crates do no I/O", &complaints);
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
fn each_pure_crate_has_lints_against_impurity() {
    let sources = files::all();
    let mut complaints = Vec::new();
    let pure = pure();
    assert!(!pure.is_empty(), "no manifest says that its crate is pure");
    for place in pure {
        let path = format!("{place}clippy.toml");
        match sources.iter().find(|source| source.path == path) {
            None => complaints.push(format!("{path} is missing")),
            Some(lints) if !lints.text.contains("disallowed-methods") => {
                complaints.push(format!("{path} disallows no methods"))
            }
            Some(_) => {}
        }
    }
    report("clippy guards the pure crates", &complaints);
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
