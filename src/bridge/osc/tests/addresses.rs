//! Which names an address means.

use super::super::address::{Target, matches, outgoing, parse};

#[test]
fn an_address_names_a_space_and_a_type() {
    let check = |address: &str, expected: Option<(&str, &str)>| {
        let parsed = parse(address).map(|(target, kind)| match target {
            Target::Space(space) | Target::Pattern(space) => (space, kind),
        });
        assert_eq!(parsed, expected, "{address}");
    };
    check("/proscenium/residence/CUE", Some(("residence", "CUE")));
    check("/proscenium/a-b_c.d/light/1", Some(("a-b_c.d", "light/1")));
    check("/*/residence/CUE", Some(("residence", "CUE")));
    check("/proscenium/*/CUE", Some(("*", "CUE")));
    check("/proscenium/residence", None);
    check("/proscenium/residence/", None);
    check("/proscenium/residence//x", None);
    check("/proscenium//CUE", None);
    check("/other/residence/CUE", None);
    check("/proscenium/api/CUE", None);
    check("/proscenium/residence/{CUE,GO}", None);
    check("/proscenium/residence/a b", None);
    check("proscenium/residence/CUE", None);
    check(&format!("/proscenium/residence/{}", "x".repeat(65)), None);
}

#[test]
fn patterns_mean_what_osc_says() {
    let check = |pattern: &str, yes: &[&str], no: &[&str]| {
        for name in yes {
            assert!(matches(pattern, name), "{pattern} means {name}");
        }
        for name in no {
            assert!(!matches(pattern, name), "{pattern} does not mean {name}");
        }
    };
    check("foyer", &["foyer"], &["foye", "foyers", "Foyer", ""]);
    check("*", &["foyer", ""], &[]);
    check("f*r", &["foyer", "fr", "frr"], &["foyers", "of"]);
    check("a*b?c", &["abxc", "aXbXbxc", "abbbc"], &["abc", "axc"]);
    check("**", &["", "anything"], &[]);
    check("f?yer", &["foyer"], &["fyer", "fooyer"]);
    check(
        "hall[0-9]",
        &["hall0", "hall9"],
        &["hall", "hallA", "hall10"],
    );
    check("hall[!0-9]", &["hallA"], &["hall0", "hall"]);
    check("hall[9-0]", &["hall5"], &["hallA"]);
    check("hall[ab-]", &["halla", "hall-"], &["hallc"]);
    check("hall[]", &[], &["hall", "hall]"]);
    check("{foyer,hall}", &["foyer", "hall"], &["foyerhall", ""]);
    check("{hall,hallway}s", &["halls", "hallways"], &["hall"]);
    check("{a,ab}*{c,bc}", &["abc", "ac", "abbc"], &["ab", "bc"]);
    check("hall{,way}", &["hall", "hallway"], &["hallw"]);
    for broken in ["[", "[a", "{", "{a,b", "a]", "a}", "a b", "a,b"] {
        check(broken, &[], &["a", "b", "", broken]);
    }
}

#[test]
fn a_pattern_of_many_stars_costs_no_more_than_its_length() {
    let pattern = "*a".repeat(200);
    let name = "a".repeat(64);
    assert!(!matches(&pattern, &name));
    assert!(matches(&"*a".repeat(64), &name));
}

#[test]
fn types_that_osc_cannot_say_are_made_sayable() {
    let check = |kind: &str, expected: &str| {
        assert_eq!(
            outgoing("foyer", kind),
            format!("/proscenium/foyer/{expected}")
        );
    };
    check("CUE", "CUE");
    check("light/1", "light/1");
    check("a b*c?d{e}[f],#", "a_b_c_d_e__f___");
    check("grün", "gr_n");
    check("/a//b/", "_/a/_/b/_");
    check("", "_");
}
