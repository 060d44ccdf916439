//! Merges flags, environment, file and defaults into one [`Config`].

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args as _, FromArgMatches as _};

use super::cli::{LogFormat, Settings};
use super::file::{self, Extras};
use super::{
    Config, ConfigError, DEFAULT_FILE, GIGABYTE, HlsConfig, Limits, RecordingsConfig, messages,
};

/// The process environment, as far as it matters: `PROSCENIUM_*` and `RUST_LOG`.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "PROSCENIUM_";

/// The settings whose values no message repeats.
const SECRETS: [&str; 2] = ["secret", "webhook-secret"];

/// The configuration for `serve`, or for `demo`, from what was given in all places.
///
/// An empty variable counts as not set. An unknown `PROSCENIUM_*` variable is only warned about, because container
/// platforms make variables of their own from the names of services.
///
/// # Errors
/// The first mistake found: a bad value, an unknown key of the file, an unreadable file, settings that contradict.
pub fn load(flags: Settings, environment: &Environment, demo: bool) -> Result<Config, ConfigError> {
    let (variables, warnings) = from_environment(environment)?;
    let said = flags.over(variables);
    let (path, explicit) = match &said.config {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    let (filed, extras, file) = match read(&path, explicit)? {
        Some(text) => {
            let (settings, extras) = file::parse(&path, &text)?;
            (settings, extras, Some(path))
        }
        None => (Settings::default(), Extras::default(), None),
    };
    let rust_log = environment
        .get("RUST_LOG")
        .filter(|filter| !filter.is_empty());
    let mut config = complete(said.over(filed), extras, rust_log, demo)?;
    config.file = file;
    config.warnings = warnings;
    config.warnings.extend(messages::warnings(&config));
    Ok(config)
}

fn from_environment(environment: &Environment) -> Result<(Settings, Vec<String>), ConfigError> {
    let mut settings = Settings::default();
    let mut warnings = Vec::new();
    let known: Vec<String> = names().iter().map(|name| variable(name)).collect();
    for (key, value) in environment
        .iter()
        .filter(|(key, value)| key.starts_with(PREFIX) && !value.is_empty())
    {
        let Some(index) = known.iter().position(|name| name == key) else {
            if let Some(nearest) = nearest(key, known.iter().map(String::as_str)) {
                warnings.push(format!(
                    "environment variable {key} is unknown and ignored; did you mean {nearest}?"
                ));
            }
            continue;
        };
        let one =
            one(&names()[index], std::slice::from_ref(value)).map_err(|bad| bad.at(key.clone()))?;
        settings = settings.over(one);
    }
    Ok((settings, warnings))
}

/// The file's text, or `None` when there is no file and none was asked for.
fn read(path: &Path, explicit: bool) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !explicit => Ok(None),
        Err(source) => Err(ConfigError::Unreadable {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn complete(
    said: Settings,
    extras: Extras,
    rust_log: Option<&String>,
    demo: bool,
) -> Result<Config, ConfigError> {
    let defaults = Config::default();
    let address = if demo {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    let viewers_max = said.viewers_max.unwrap_or(defaults.limits.viewers_max);
    let participants_max = said
        .participants_max
        .unwrap_or(defaults.limits.participants_max);
    let pages = viewers_max.saturating_add(participants_max);
    let recordings = recordings(&said, defaults.recordings);
    let messages = messages::messages(&said)?;
    let connections = pages.saturating_mul(2).saturating_add(messages.clients_max);
    let (osc, webhooks) = (messages::osc(&said)?, messages::webhooks(&said)?);
    let log_filter = said
        .log_level
        .or_else(|| rust_log.cloned())
        .unwrap_or(defaults.log_filter);
    let hls = HlsConfig {
        enabled: said.hls.unwrap_or(defaults.hls.enabled),
        part: said
            .hls_part_ms
            .map_or(defaults.hls.part, Duration::from_millis),
        webrtc_seats: said.webrtc_seats.unwrap_or(viewers_max),
    };
    let config = Config {
        listen: said.listen.unwrap_or(SocketAddr::from((address, 8080))),
        rtc_port: said.rtc_port.unwrap_or(defaults.rtc_port),
        public_ip: said.public_ip.unwrap_or_default(),
        trusted_proxies: said.trusted_proxy.unwrap_or_default(),
        data_dir: said.data_dir.unwrap_or(defaults.data_dir),
        media_threads: said.media_threads.unwrap_or(defaults.media_threads),
        web_dir: said.web_dir,
        spaces: extras.spaces,
        ice_servers: extras.ice_servers,
        log_json: said.log == Some(LogFormat::Json),
        log_filter,
        limits: Limits {
            publishers_max: said
                .publishers_max
                .unwrap_or(defaults.limits.publishers_max),
            viewers_max,
            participants_max,
            space_participants_max: said
                .space_participants_max
                .unwrap_or(defaults.limits.space_participants_max),
            connections_max: said.connections_max.unwrap_or(connections.max(1000)),
        },
        loudest: said.loudest.unwrap_or(defaults.loudest),
        hls,
        recordings,
        messages,
        osc,
        webhooks,
        secret: said.secret,
        demo,
        drain_max: said
            .drain_seconds
            .map_or(defaults.drain_max, Duration::from_secs),
        file: None,
        warnings: Vec::new(),
    };
    check_ports(&config)?;
    check_web_dir(&config)?;
    Ok(config)
}

fn recordings(said: &Settings, defaults: RecordingsConfig) -> RecordingsConfig {
    let days = |days| Duration::from_secs(days * 24 * 60 * 60);
    RecordingsConfig {
        dvr_window: said
            .dvr_window_minutes
            .map_or(defaults.dvr_window, |minutes| {
                Duration::from_secs(minutes * 60)
            }),
        record: said.record.unwrap_or(defaults.record),
        quota_bytes: match said.recordings_quota_gb {
            None => defaults.quota_bytes,
            Some(0) => None,
            Some(gigabytes) => Some(gigabytes * GIGABYTE),
        },
        keep_max: match said.recordings_keep_days {
            None => defaults.keep_max,
            Some(0) => None,
            Some(count) => Some(days(count)),
        },
    }
}

/// The media ports fit into the numbers there are, and HTTP does not listen on one of them.
fn check_ports(config: &Config) -> Result<(), ConfigError> {
    if config.rtc_port == 0 {
        return Ok(());
    }
    let last_port = usize::from(config.rtc_port) + config.media_threads - 1;
    if last_port > usize::from(u16::MAX) {
        return Err(ConfigError::Conflict(format!(
            "{} media threads need the ports {} to {last_port}, and 65535 is the last one; choose a lower --rtc-port \
             or fewer --media-threads",
            config.media_threads, config.rtc_port
        )));
    }
    let http = usize::from(config.listen.port());
    if http >= usize::from(config.rtc_port) && http <= last_port {
        return Err(ConfigError::Conflict(format!(
            "port {http} of --listen {} is also one of the media ports {} to {last_port}, which are used over TCP, \
             too; choose another --listen or --rtc-port",
            config.listen, config.rtc_port
        )));
    }
    Ok(())
}

fn check_web_dir(config: &Config) -> Result<(), ConfigError> {
    if let Some(directory) = &config.web_dir
        && !directory.is_dir()
    {
        return Err(ConfigError::Conflict(format!(
            "--web-dir {} is not a directory; give the one with the pages, or leave it out to use the built-in ones",
            directory.display()
        )));
    }
    Ok(())
}

/// The names of all settings, as in `--name`.
pub(super) fn names() -> Vec<String> {
    parser()
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(str::to_owned)
        .collect()
}

/// The environment's name for a setting.
fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

fn parser() -> clap::Command {
    Settings::augment_args(clap::Command::new("proscenium"))
        .no_binary_name(true)
        .disable_help_flag(true)
}

/// A value that its setting refuses.
pub(super) struct BadValue {
    value: String,
    reason: String,
}

impl BadValue {
    pub(super) fn at(self, origin: String) -> ConfigError {
        ConfigError::Value {
            origin,
            value: self.value,
            reason: self.reason,
        }
    }
}

/// One setting from text, by the parser of the command line, so that every place accepts the same.
pub(super) fn one(name: &str, values: &[String]) -> Result<Settings, BadValue> {
    let arguments = values.iter().map(|value| format!("--{name}={value}"));
    parser()
        .try_get_matches_from(arguments)
        .and_then(|matches| Settings::from_arg_matches(&matches))
        .map_err(|error| {
            let value = match error.get(ContextKind::InvalidValue) {
                _ if SECRETS.contains(&name) => "(secret)".to_owned(),
                Some(ContextValue::String(value)) => value.clone(),
                _ => values.join(","),
            };
            let reason = match (error.source(), error.get(ContextKind::ValidValue)) {
                (Some(source), _) => source.to_string(),
                (None, Some(ContextValue::Strings(valid))) => {
                    format!("not one of: {}", valid.join(", "))
                }
                _ => "given more than once, or empty; give one value".to_owned(),
            };
            BadValue { value, reason }
        })
}

/// The known name that `given` was probably meant to be.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}
