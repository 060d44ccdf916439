//! What `docs/PROTOCOL.md` says of conferences is what is spoken.

use std::collections::BTreeSet;

use conference::protocol::{ServerMessage, close, read};
use serde_json::Value;

use crate::golden;

/// The document's section about conferences.
fn section() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROTOCOL.md");
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.find("\n## Conference").expect("a section");
    let rest = &text[start + 1..];
    let end = rest[3..].find("\n## ").map_or(rest.len(), |end| end + 3);
    rest[..end].to_owned()
}

/// Its examples, each one message.
fn examples() -> Vec<Value> {
    let section = section();
    let mut examples = Vec::new();
    for block in section.split("```json\n").skip(1) {
        let (text, _) = block.split_once("\n```").expect("an end of the example");
        for message in serde_json::Deserializer::from_str(text).into_iter() {
            examples.push(message.unwrap_or_else(|error| panic!("{error} in {text}")));
        }
    }
    examples
}

#[test]
fn every_example_is_a_golden_message_and_every_golden_message_an_example() {
    let files = golden::files();
    let mut shown = BTreeSet::new();
    for example in examples() {
        let name = (files.iter()).find(|(_, golden)| **golden == example);
        let (name, _) = name.unwrap_or_else(|| panic!("no golden file is like {example:#}"));
        shown.insert(name.clone());
        let text = example.to_string();
        if name.starts_with("client-") {
            read(&text).unwrap();
        } else {
            serde_json::from_str::<ServerMessage>(&text).unwrap();
        }
    }
    let missing: Vec<_> = files.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}");
}

#[test]
fn every_code_is_explained() {
    let section = section();
    let errors = [
        "malformed",
        "unknown_type",
        "version",
        "too_large",
        "too_fast",
        "name",
        "identity",
        "token_missing",
        "token_invalid",
        "token_expired",
        "token_space",
        "forbidden",
        "locked",
        "full",
        "not_found",
        "not_acceptable",
        "conflict",
        "not_joined",
        "stopping",
    ];
    for code in errors {
        assert!(section.contains(&format!("| `{code}` |")), "{code}");
    }
    for code in [
        close::LEFT,
        close::STOPPING,
        close::POLICY,
        close::FULL,
        close::REPLACED,
        close::REMOVED,
        close::TOKEN,
    ] {
        assert!(section.contains(&format!("| {code} |")), "{code}");
    }
}
