//! Spaces whose viewers over WebRTC are shown a slate.

use super::*;

#[test]
fn a_space_has_a_slate_for_webrtc_only_if_it_wants_one() {
    for (line, expected) in [
        ("", false),
        ("whep_slate = false", false),
        ("whep_slate = true", true),
    ] {
        let config = serve(&[], &[], &format!("[[space]]\nname = \"hall\"\n{line}"));
        assert_eq!(config.spaces[0].whep_slate, expected, "{line}");
    }
}

#[test]
fn what_is_neither_true_nor_false_is_refused_with_its_line() {
    let file = |line: &str| format!("[[space]]\nname = \"hall\"\n{line}");
    let wrong = [
        "line 3",
        "`whep_slate` is string; give true or false, without quotes",
    ];
    check_refused(&[], &[], &file("whep_slate = \"on\""), &wrong);
    let unknown = ["line 3", "whep_slates", "did you mean `whep_slate`"];
    check_refused(&[], &[], &file("whep_slates = true"), &unknown);
}
