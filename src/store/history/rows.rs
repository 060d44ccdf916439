//! The table of messages.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, ToSql, params};
use serde::Deserialize;
use signaling::bus::{FrameKind, MediaMoment, Message, Policy};

/// The most messages of a page.
const PAGE_MAX: usize = 1000;

/// The most bytes of raw messages of a page; one message may be more than that alone.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// What a row takes beside its texts: numbers, places in five indexes, what is unused in pages.
const ROW_BYTES: usize = 160;

const COLUMNS: &str = "seq, channel, kind, message_id, user, is_binary, stream, life, time_ms, raw";

/// Some of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Arc<Message>>,
    /// When there are more: the number after which they are.
    pub next: Option<u64>,
}

/// Which messages are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Only this channel's.
    pub channel: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only those that were sent with `store: true`, without other CHAT and LIKE.
    pub is_stored: bool,
    /// The smallest number.
    pub from: u64,
    /// What numbers are below.
    pub to: u64,
    /// At most so many, and at most 1,000 and some 4 MB.
    pub count: usize,
}

impl Default for PageQuery {
    /// The oldest of everything.
    fn default() -> Self {
        Self {
            channel: None,
            kind: None,
            is_stored: false,
            from: 0,
            to: u64::MAX,
            count: PAGE_MAX,
        }
    }
}

/// How much there is: kept beside the messages, because counting millions takes seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Totals {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) newest: u64,
}

impl Totals {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row("SELECT messages, bytes, newest FROM total", [], |row| {
            Ok(Self {
                messages: unsigned(row, 0)?,
                bytes: unsigned(row, 1)?,
                newest: unsigned(row, 2)?,
            })
        })
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let update = "UPDATE total SET messages = ?1, bytes = ?2, newest = ?3";
        let values = [self.messages, self.bytes, self.newest].map(signed);
        connection.execute(update, values).map(drop)
    }
}

/// What a message counts towards the limit of the history.
pub(super) fn weight(message: &Message) -> usize {
    // The channel is in the row and in three indexes, the kind in the row and in two.
    4 * message.channel.len() + 3 * message.kind.len() + message.raw.len() + ROW_BYTES
}

/// Prepares [`insert`], for as many messages as there are.
pub(super) fn inserting(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
    connection.prepare(
        "INSERT INTO message (seq, channel, kind, message_id, user, is_binary, is_stored, stream, life, time_ms, \
         bytes, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
}

pub(super) fn insert(
    inserting: &mut Statement<'_>,
    message: &Message,
    bytes: usize,
) -> rusqlite::Result<()> {
    let media = message.media.as_ref();
    let values = params![
        signed(message.seq),
        &*message.channel,
        &*message.kind,
        message.id.as_deref(),
        message.user.as_deref(),
        message.frame == FrameKind::Binary,
        is_stored(message),
        media.map(|media| &*media.stream),
        media.map(|media| &*media.life),
        media.map(|media| signed(media.time_ms)),
        signed(bytes as u64),
        &*message.raw,
    ];
    inserting.execute(values).map(drop)
}

/// Whether it says `store: true`. Everything that is kept does, except CHAT and LIKE, which are kept without.
fn is_stored(message: &Message) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        store: serde_json::Value,
    }
    if !matches!(&*message.kind, "CHAT" | "LIKE") {
        return true;
    }
    let envelope = serde_json::from_slice::<Envelope>(&message.raw);
    envelope.is_ok_and(|envelope| envelope.store == serde_json::Value::Bool(true))
}

/// See [`super::History::latest`].
pub(super) fn latest(
    connection: &Connection,
    channel: &str,
    kinds: &[String],
    count: usize,
    bytes_max: usize,
) -> rusqlite::Result<Vec<Arc<Message>>> {
    let select = format!(
        "SELECT {COLUMNS} FROM message WHERE channel = ?1 AND kind = ?2 ORDER BY seq DESC LIMIT ?3"
    );
    let mut found = Vec::new();
    // Each kind alone, newest first: all of them in one statement would be read and sorted as a whole.
    for kind in kinds {
        let mut statement = connection.prepare(&select)?;
        let mut rows = statement.query(params![channel, kind, signed(count as u64)])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let message = read(row)?;
            bytes += message.raw.len();
            if bytes > bytes_max {
                break;
            }
            found.push(message);
        }
    }
    found.sort_by_key(|message| std::cmp::Reverse(message.seq));
    let mut bytes = 0;
    let fits = found.iter().take(count).take_while(|message| {
        bytes += message.raw.len();
        bytes <= bytes_max
    });
    let fitting = fits.count();
    found.truncate(fitting);
    found.reverse();
    Ok(found)
}

/// See [`super::History::page`].
pub(super) fn page(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Page> {
    let count = query.count.min(PAGE_MAX);
    let mut select = format!("SELECT {COLUMNS} FROM message WHERE seq >= ?1 AND seq < ?2");
    let limit = signed(count as u64 + 1);
    let (from, to) = (signed(query.from), signed(query.to));
    let mut values: Vec<&dyn ToSql> = vec![&from, &to, &limit];
    if let Some(channel) = &query.channel {
        values.push(channel);
        select.push_str(&format!(" AND channel = ?{}", values.len()));
    }
    if let Some(kind) = &query.kind {
        values.push(kind);
        select.push_str(&format!(" AND kind = ?{}", values.len()));
    }
    if query.is_stored {
        select.push_str(" AND is_stored");
    }
    select.push_str(" ORDER BY seq LIMIT ?3");
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query(values.as_slice())?;
    let mut page = Page::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let last = page
            .messages
            .last()
            .map(|message: &Arc<Message>| message.seq);
        if page.messages.len() == count || (bytes > PAGE_BYTES_MAX && last.is_some()) {
            page.next = last;
            break;
        }
        let message = read(row)?;
        bytes += message.raw.len();
        page.messages.push(message);
    }
    Ok(page)
}

/// See [`super::History::delete`].
pub(super) fn delete(
    connection: &Connection,
    totals: &mut Totals,
    channel: &str,
    seq: u64,
) -> rusqlite::Result<Option<Arc<Message>>> {
    let select = format!("SELECT {COLUMNS}, bytes FROM message WHERE seq = ?1 AND channel = ?2");
    let found = connection
        .query_row(&select, params![signed(seq), channel], |row| {
            Ok((read(row)?, unsigned(row, 10)?))
        })
        .optional()?;
    let Some((message, bytes)) = found else {
        return Ok(None);
    };
    connection.execute("DELETE FROM message WHERE seq = ?1", [signed(seq)])?;
    totals.messages = totals.messages.saturating_sub(1);
    totals.bytes = totals.bytes.saturating_sub(bytes);
    Ok(Some(message))
}

/// Removes all; the newest number stays known, so that none is given twice.
pub(super) fn clear(connection: &Connection, totals: &mut Totals) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM message", [])?;
    totals.messages = 0;
    totals.bytes = 0;
    Ok(())
}

/// What may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// What is numbered below is too old.
    pub(super) oldest: u64,
}

/// Removes the oldest messages below `before`, at most `count`, until the rest is within bounds. Returns how many went.
pub(super) fn remove_oldest(
    connection: &Connection,
    totals: &mut Totals,
    bounds: Bounds,
    before: u64,
    count: usize,
) -> rusqlite::Result<u64> {
    let mut left = *totals;
    let mut last = None;
    {
        let select = "SELECT seq, bytes FROM message WHERE seq < ?1 ORDER BY seq LIMIT ?2";
        let mut statement = connection.prepare(select)?;
        let mut rows = statement.query([signed(before), signed(count as u64)])?;
        while let Some(row) = rows.next()? {
            let seq = unsigned(row, 0)?;
            let is_over = left.messages > bounds.messages || left.bytes > bounds.bytes;
            if !is_over && seq >= bounds.oldest {
                break;
            }
            last = Some(seq);
            left.messages = left.messages.saturating_sub(1);
            left.bytes = left.bytes.saturating_sub(unsigned(row, 1)?);
        }
    }
    let Some(last) = last else { return Ok(0) };
    let delete = "DELETE FROM message WHERE seq <= ?1";
    let removed = connection.execute(delete, [signed(last)])?;
    *totals = left;
    Ok(removed as u64)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Arc<Message>> {
    let text = |at: usize| -> rusqlite::Result<Arc<str>> { Ok(row.get_ref(at)?.as_str()?.into()) };
    let maybe = |at: usize| -> rusqlite::Result<Option<Arc<str>>> {
        Ok(row.get_ref(at)?.as_str_or_null()?.map(Into::into))
    };
    let media = match (maybe(6)?, maybe(7)?, row.get::<_, Option<i64>>(8)?) {
        (Some(stream), Some(life), Some(time_ms)) => Some(MediaMoment {
            stream,
            life,
            time_ms: time_ms.unsigned_abs(),
        }),
        _ => None,
    };
    Ok(Arc::new(Message {
        seq: unsigned(row, 0)?,
        channel: text(1)?,
        kind: text(2)?,
        id: maybe(3)?,
        user: maybe(4)?,
        frame: if row.get(5)? {
            FrameKind::Binary
        } else {
            FrameKind::Text
        },
        raw: Bytes::copy_from_slice(row.get_ref(9)?.as_blob()?),
        media,
        is_kept: true,
        policy: Policy::Everything,
    }))
}

/// SQLite has no unsigned numbers; ours stay below its largest for the next 290,000 years.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.unsigned_abs())
}
