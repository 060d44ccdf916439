//! The repository's rules as ordinary tests: what `docs/ARCHITECTURE.md` promises about absences is checked here.
//!
//! The rules read text, so they also hold for code that is compiled out. A rule that must be broken is changed here, in
//! the same commit and with its reason.

mod dependencies;
mod docs;
mod files;
mod rules;
