//! `proscenium.toml`: the settings of the command line with `_` for `-`, and the tables that flags cannot say.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cli::Settings;
use super::resolve::{names, nearest, one};
use super::{ConfigError, IceServer, SpaceConfig};
use super::{spaces, webhooks};

/// The settings that are on or off, for which TOML has words of its own.
const SWITCHES: [&str; 2] = ["hls", "record"];

/// The settings that need not be whole numbers.
const FRACTIONS: [&str; 1] = ["position_radius"];

/// What only the file can say.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) spaces: Vec<SpaceConfig>,
    pub(super) ice_servers: Vec<IceServer>,
}

/// A file being read: turns positions into line numbers.
pub(super) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// A complaint about the place of `span`. The message must not quote secrets.
    pub(super) fn error(&self, span: &Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::File {
            path: self.path.to_path_buf(),
            line: self.line(span),
            message: message.into(),
        }
    }

    /// A complaint about a key that nothing reads. `place` is ` in [[space]]` or empty.
    pub(super) fn unknown(
        &self,
        key: &Spanned<impl AsRef<str>>,
        place: &'static str,
        known: &[&str],
    ) -> ConfigError {
        let name = key.get_ref().as_ref();
        let advice = match nearest(&name.replace('-', "_"), known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        let line = self.line(&key.span());
        ConfigError::UnknownKey {
            path: self.path.to_path_buf(),
            line,
            key: name.to_owned(),
            place,
            advice,
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Reads the whole file.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Settings, Extras), ConfigError> {
    let source = Source { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        source.error(&span, format!("{}; this is not TOML", error.message()))
    })?;
    let mut settings = Settings::default();
    let mut extras = Extras::default();
    let names: Vec<String> = names()
        .into_iter()
        .filter(|name| name != "config")
        .collect();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().replace('_', "-");
        match name.as_str() {
            "space" => extras.spaces = spaces::spaces(&source, value)?,
            "webhook" => settings.webhook = Some(webhooks::webhooks(&source, value)?),
            "ice-server" => extras.ice_servers = spaces::ice_servers(&source, value)?,
            _ if names.contains(&name) => {
                let texts = texts(&source, key.get_ref(), value)?;
                let line = source.line(&key.span());
                let origin = || format!("{}, line {line}: {}", path.display(), key.get_ref());
                settings = settings.over(one(&name, &texts).map_err(|bad| bad.at(origin()))?);
            }
            _ => {
                let mut known: Vec<String> =
                    names.iter().map(|name| name.replace('-', "_")).collect();
                known.extend(["space".to_owned(), "ice_server".to_owned()]);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(source.unknown(key, "", &known));
            }
        }
    }
    Ok((settings, extras))
}

/// A value, or each of an array of values, as the command line would have it.
fn texts(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<String>, ConfigError> {
    match value.get_ref() {
        DeValue::Array(values) => values
            .iter()
            .map(|value| text(source, key, value))
            .collect(),
        _ => Ok(vec![text(source, key, value)?]),
    }
}

fn text(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<String, ConfigError> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Float(number) if FRACTIONS.contains(&key) => Ok(number.as_str().replace('_', "")),
        DeValue::Boolean(on) if SWITCHES.contains(&key) => Ok(on.to_string()),
        other => {
            let message = format!(
                "`{key}` is {}; give a string or a decimal number",
                other.type_str()
            );
            Err(source.error(&value.span(), message))
        }
    }
}
