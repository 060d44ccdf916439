//! How long tokens live, and how people write it.

use std::time::Duration;

/// An evening with its rehearsal.
pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(8 * 3600);

/// A season and a bit. A token cannot be taken back, so that it should not outlive those who remember it.
pub const LIFETIME_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Reads `90s`, `30m`, `8h` or `7d`.
///
/// # Errors
/// A sentence after the text that says what would do.
pub fn parse_lifetime(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "not a time; write it like 30m, 8h or 7d";
    let unit_s: u64 = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(FORM),
    };
    let number = &text[..text.len() - 1];
    // `parse` would also take a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    let number: u64 = number.parse().map_err(|_| FORM)?;
    check_lifetime(Duration::from_secs(number.saturating_mul(unit_s)))
}

/// Lets through what a token can live: one second to [`LIFETIME_MAX`].
///
/// # Errors
/// A sentence after the text that says what would do.
pub fn check_lifetime(lifetime: Duration) -> Result<Duration, &'static str> {
    if lifetime < Duration::from_secs(1) {
        Err("no time at all; a token lives for one second at least")
    } else if lifetime > LIFETIME_MAX {
        Err("too long; a token lives for 366 days at most")
    } else {
        Ok(lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit_within_a_year() {
        let check = |text: &str, expected: Option<u64>| {
            let seconds = parse_lifetime(text).ok().map(|lifetime| lifetime.as_secs());
            assert_eq!(seconds, expected, "{text:?}");
        };
        check("90s", Some(90));
        check("30m", Some(1800));
        check("8h", Some(28_800));
        check("366d", Some(31_622_400));
        check("1s", Some(1));
        for wrong in [
            "",
            "h",
            "8",
            "8 h",
            "+8h",
            "-8h",
            "8.5h",
            "8H",
            "0s",
            "367d",
            "8hh",
            "1h30m",
            "8ħ",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            check(wrong, None);
        }
    }
}
