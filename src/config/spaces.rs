//! The tables of `proscenium.toml`: `[[space]]` with its `[[space.stream]]`, and `[[ice_server]]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use venue::{SpaceName, StreamName};

use super::file::Source;
use super::{ConfigError, IceServer, SpaceConfig, StreamConfig};

/// Spaces that the file may name; any other word makes a space without being named. A thousand are a festival.
const SPACES_MAX: usize = 1000;

/// Streams that the file may name in one space: four share a stage, and a large production has some spare cameras.
const STREAMS_MAX: usize = 16;

/// `Link` headers in every answer: more than a few only make clients slow (they probe each one).
const ICE_SERVERS_MAX: usize = 8;

type Value<'a> = Spanned<DeValue<'a>>;
type Table<'a> = DeTable<'a>;

/// All of `[[space]]`.
pub(super) fn spaces(
    source: &Source<'_>,
    value: &Value<'_>,
) -> Result<Vec<SpaceConfig>, ConfigError> {
    let mut spaces: Vec<SpaceConfig> = Vec::new();
    for (table, span) in tables(source, value, "[[space]]", SPACES_MAX)? {
        let space = space(source, table, &span)?;
        if spaces.iter().any(|other| other.name == space.name) {
            let message = format!(
                "space `{}` is there twice; put its streams into one [[space]]",
                space.name
            );
            return Err(source.error(&span, message));
        }
        spaces.push(space);
    }
    Ok(spaces)
}

fn space(
    source: &Source<'_>,
    table: &Table<'_>,
    span: &std::ops::Range<usize>,
) -> Result<SpaceConfig, ConfigError> {
    let (mut name, mut key, mut streams) = (None, None, Vec::new());
    let (mut private, mut whep_slate) = (false, false);
    for (field, value) in table {
        match field.get_ref().as_ref() {
            "name" => name = Some(valid_name(source, "space", value)?),
            "key" => {
                let text = string(source, "key", value)?;
                crate::auth::check_chosen_key(text)
                    .map_err(|reason| source.error(&value.span(), reason))?;
                key = Some(text.to_owned());
            }
            "private" => private = boolean(source, "private", value)?,
            "whep_slate" => whep_slate = boolean(source, "whep_slate", value)?,
            "stream" => streams = self::streams(source, value)?,
            _ => {
                let known = ["name", "key", "private", "whep_slate", "stream"];
                return Err(source.unknown(field, " in [[space]]", &known));
            }
        }
    }
    let name =
        name.ok_or_else(|| source.error(span, "a [[space]] without a name; add name = \"...\""))?;
    Ok(SpaceConfig {
        name,
        key,
        private,
        whep_slate,
        streams,
    })
}

fn streams(source: &Source<'_>, value: &Value<'_>) -> Result<Vec<StreamConfig>, ConfigError> {
    let mut streams: Vec<StreamConfig> = Vec::new();
    let mut backups = Vec::new();
    for (table, span) in tables(source, value, "[[space.stream]]", STREAMS_MAX)? {
        let (mut name, mut rtsp, mut record, mut backup) = (None, None, None, None);
        for (field, value) in table {
            match field.get_ref().as_ref() {
                "name" => name = Some(valid_name(source, "stream", value)?),
                "rtsp" => rtsp = Some(camera(source, value)?),
                "record" => record = Some(boolean(source, "record", value)?),
                "backup" => {
                    let name = valid_name(source, "backup", value)?;
                    backups.push((streams.len(), value.span()));
                    backup = Some(name);
                }
                _ => {
                    let known = ["name", "rtsp", "record", "backup"];
                    return Err(source.unknown(field, " in [[space.stream]]", &known));
                }
            }
        }
        let name = name.ok_or_else(|| {
            source.error(
                &span,
                "a [[space.stream]] without a name; add name = \"main\"",
            )
        })?;
        if streams.iter().any(|other| other.name == name) {
            return Err(source.error(
                &span,
                format!("stream `{name}` is there twice in its space; rename one"),
            ));
        }
        streams.push(StreamConfig {
            name,
            rtsp,
            record,
            backup,
        });
    }
    for (at, span) in backups {
        check_backup(&streams, at).map_err(|reason| source.error(&span, reason))?;
    }
    Ok(streams)
}

/// Whether the backup of the stream at `at` can be one.
fn check_backup(streams: &[StreamConfig], at: usize) -> Result<(), String> {
    let main = &streams[at];
    let Some(backup) = &main.backup else {
        return Ok(());
    };
    let name = &main.name;
    if backup == name {
        return Err(format!(
            "stream `{name}` cannot be its own backup; name another stream of the space"
        ));
    }
    let Some(other) = streams.iter().find(|other| other.name == *backup) else {
        return Err(format!(
            "`{backup}`, the backup of stream `{name}`, is no stream of its space; add a [[space.stream]] with name = \"{backup}\""
        ));
    };
    if let Some(next) = &other.backup {
        return Err(format!(
            "`{backup}`, the backup of stream `{name}`, has a backup itself (`{next}`); a stream has one at most, and a backup none"
        ));
    }
    let mut mains = streams.iter().take(at);
    if let Some(first) = mains.find(|first| first.backup.as_ref() == Some(backup)) {
        return Err(format!(
            "`{backup}` is the backup of stream `{}` already; stream `{name}` needs one of its own",
            first.name
        ));
    }
    if other.record.is_some() {
        return Err(format!(
            "`{backup}` is the backup of stream `{name}` and is recorded as that; say `record` there alone"
        ));
    }
    Ok(())
}

/// An RTSP URL. It is not quoted in complaints, because it may hold a password.
fn camera(source: &Source<'_>, value: &Value<'_>) -> Result<String, ConfigError> {
    let text = string(source, "rtsp", value)?;
    let rest = text.strip_prefix("rtsp://").ok_or_else(|| {
        source.error(
            &value.span(),
            "`rtsp` must begin with rtsp:// (encrypted rtsps:// is not supported)",
        )
    })?;
    let host = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .rsplit('@')
        .next()
        .unwrap_or_default();
    if host.is_empty() || text.chars().any(char::is_whitespace) {
        let message = "`rtsp` has no host, or a space in it; write it like rtsp://user:password@192.0.2.5:554/stream1";
        return Err(source.error(&value.span(), message));
    }
    Ok(text.to_owned())
}

/// All of `[[ice_server]]`.
pub(super) fn ice_servers(
    source: &Source<'_>,
    value: &Value<'_>,
) -> Result<Vec<IceServer>, ConfigError> {
    let mut servers = Vec::new();
    for (table, span) in tables(source, value, "[[ice_server]]", ICE_SERVERS_MAX)? {
        let (mut url, mut username, mut credential) = (None, None, None);
        for (field, value) in table {
            let known = ["url", "username", "credential"];
            match field.get_ref().as_ref() {
                "url" => url = Some(plain(source, "url", value)?),
                "username" => username = Some(plain(source, "username", value)?),
                "credential" => credential = Some(plain(source, "credential", value)?),
                _ => return Err(source.unknown(field, " in [[ice_server]]", &known)),
            }
        }
        let url = url.ok_or_else(|| {
            source.error(
                &span,
                "an [[ice_server]] without a url; add url = \"stun:...\"",
            )
        })?;
        let is_turn = url.starts_with("turn:") || url.starts_with("turns:");
        if !is_turn && !url.starts_with("stun:") && !url.starts_with("stuns:") {
            let message = format!("ice server `{url}`: must begin with stun:, turn: or turns:");
            return Err(source.error(&span, message));
        }
        if is_turn && (username.is_none() || credential.is_none()) {
            return Err(source.error(
                &span,
                format!("ice server `{url}`: TURN needs username and credential"),
            ));
        }
        servers.push(IceServer {
            url,
            username,
            credential,
        });
    }
    Ok(servers)
}

/// A string that can stand quoted in a header.
fn plain(source: &Source<'_>, field: &str, value: &Value<'_>) -> Result<String, ConfigError> {
    let text = string(source, field, value)?;
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>,;".contains(&byte);
    if text.is_empty() || text.len() > 512 || !text.bytes().all(allowed) {
        let message =
            format!("`{field}` must be 1 to 512 visible ASCII characters without \" \\ < > , ;");
        return Err(source.error(&value.span(), message));
    }
    Ok(text.to_owned())
}

fn valid_name(source: &Source<'_>, what: &str, value: &Value<'_>) -> Result<String, ConfigError> {
    let text = string(source, "name", value)?;
    let checked = match what {
        "space" => text.parse::<SpaceName>().map(drop),
        _ => text.parse::<StreamName>().map(drop),
    };
    checked.map_err(|error| source.error(&value.span(), format!("{what} `{text}`: {error}")))?;
    Ok(text.to_owned())
}

fn string<'v>(
    source: &Source<'_>,
    field: &str,
    value: &'v Value<'_>,
) -> Result<&'v str, ConfigError> {
    value.get_ref().as_str().ok_or_else(|| {
        let message = format!(
            "`{field}` is {}; give a string in quotes",
            value.get_ref().type_str()
        );
        source.error(&value.span(), message)
    })
}

fn boolean(source: &Source<'_>, field: &str, value: &Value<'_>) -> Result<bool, ConfigError> {
    value.get_ref().as_bool().ok_or_else(|| {
        let message = format!(
            "`{field}` is {}; give true or false, without quotes",
            value.get_ref().type_str()
        );
        source.error(&value.span(), message)
    })
}

fn tables<'v, 'i>(
    source: &Source<'_>,
    value: &'v Value<'i>,
    what: &str,
    most: usize,
) -> Result<Vec<(&'v Table<'i>, std::ops::Range<usize>)>, ConfigError> {
    let wrong = || {
        source.error(
            &value.span(),
            format!("write {what} in double brackets, once for each"),
        )
    };
    let items = value.get_ref().as_array().ok_or_else(wrong)?;
    if items.len() > most {
        return Err(source.error(
            &value.span(),
            format!("{} of {what}, and {most} is the most", items.len()),
        ));
    }
    items
        .iter()
        .map(|item| {
            item.get_ref()
                .as_table()
                .map(|table| (table, item.span()))
                .ok_or_else(wrong)
        })
        .collect()
}
