//! What moderators have decided for a channel, and what words nobody may say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Users and addresses that can be banned in one channel at a time. Beyond, the ban that ends first makes room.
const BANS_MAX: usize = 1024;
/// Users whose last CHAT is remembered in slow mode: as many as a channel has users.
const SPOKEN_MAX: usize = 5000;

/// What moderators have decided for one channel.
#[derive(Debug, Default)]
pub(super) struct Rules {
    users: BTreeMap<Arc<str>, u64>,
    addresses: BTreeMap<Arc<str>, u64>,
    pause: Duration,
    spoken: BTreeMap<Arc<str>, Instant>,
}

impl Rules {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.addresses.is_empty() && self.pause.is_zero()
    }

    /// Until then, in ms since 1970; 0 lifts it.
    pub(super) fn ban(&mut self, user: Option<Arc<str>>, address: Option<Arc<str>>, until_ms: u64) {
        for (name, bans) in [(user, &mut self.users), (address, &mut self.addresses)] {
            let Some(name) = name else { continue };
            if until_ms == 0 {
                bans.remove(&name);
                continue;
            }
            bans.insert(name, until_ms);
            if bans.len() > BANS_MAX {
                let first = bans.iter().min_by_key(|(_, until)| **until);
                let first = first.map(|(name, _)| Arc::clone(name));
                first.and_then(|first| bans.remove(&first));
            }
        }
    }

    pub(super) fn is_banned(&self, user: Option<&str>, address: &str, unix_ms: u64) -> bool {
        let counts = |until: Option<&u64>| until.is_some_and(|until| *until > unix_ms);
        counts(user.and_then(|user| self.users.get(user))) || counts(self.addresses.get(address))
    }

    /// Forgets the bans that are over.
    pub(super) fn forget(&mut self, unix_ms: u64) {
        for bans in [&mut self.users, &mut self.addresses] {
            bans.retain(|_, until| *until > unix_ms);
        }
    }

    /// At most one CHAT per user in this time; zero ends slow mode.
    pub(super) fn slow_down(&mut self, pause: Duration) {
        self.pause = pause;
        self.spoken.clear();
    }

    /// In which time everybody may say one thing.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Whether this user may say something now, which counts if so.
    pub(super) fn may_speak(&mut self, user: &str, now: Instant) -> bool {
        if self.pause.is_zero() {
            return true;
        }
        let pause = self.pause;
        let is_over = |spoken: &Instant| now.saturating_duration_since(*spoken) >= pause;
        if self.spoken.get(user).is_some_and(|spoken| !is_over(spoken)) {
            return false;
        }
        if self.spoken.len() >= SPOKEN_MAX {
            self.spoken.retain(|_, spoken| !is_over(spoken));
        }
        // With more people than that within one pause nobody can read it anyway.
        if self.spoken.len() >= SPOKEN_MAX {
            return false;
        }
        self.spoken.insert(user.into(), now);
        true
    }
}

/// Whether a text has one of the words, as a word or phrase of its own, in whatever case and width, and whatever is in it that is not seen.
pub(super) fn has_word(text: &str, words: &[String]) -> bool {
    if words.is_empty() {
        return false;
    }
    let text: String = text.chars().filter_map(seen).collect();
    let text = text.to_lowercase();
    words.iter().any(|word| {
        !word.is_empty()
            && text.match_indices(word.as_str()).any(|(start, found)| {
                let before = text
                    .get(..start)
                    .and_then(|before| before.chars().next_back());
                let after = text
                    .get(start + found.len()..)
                    .and_then(|after| after.chars().next());
                ![before, after]
                    .into_iter()
                    .flatten()
                    .any(char::is_alphanumeric)
            })
    })
}

/// A character as the eye takes it: none for what has no width, and ASCII for its full-width forms.
fn seen(character: char) -> Option<char> {
    match character {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        let words = ["dumb".to_owned(), "go away".to_owned()];
        let check =
            |text: &str, expected: bool| assert_eq!(has_word(text, &words), expected, "{text}");
        check("you are DUMB!", true);
        check("dumb", true);
        check("dumbo", false);
        check("go away.", true);
        check("go  away", false);
        check("dumbo and dumb", true);
        check("", false);
        check("ätschdumb", false);
        check("du\u{200b}m\u{ad}b", true);
        check("ＤＵmb", true);
        check("go\u{200d} away", true);
    }

    #[test]
    fn bans_end_and_are_bounded() {
        let mut rules = Rules::default();
        rules.ban(Some("u".into()), None, 10);
        assert!(rules.is_banned(Some("u"), "a", 9));
        assert!(!rules.is_banned(Some("v"), "a", 9));
        assert!(!rules.is_banned(Some("u"), "a", 10));
        rules.forget(10);
        assert!(rules.is_empty());
        for number in 0..2000_u64 {
            rules.ban(None, Some(number.to_string().into()), 100 + number);
        }
        assert!(!rules.is_banned(None, "0", 1));
        assert!(rules.is_banned(None, "1999", 1));
        assert_eq!(rules.addresses.len(), BANS_MAX);
    }
}
