//! The table of messages.

use std::sync::Arc;

use bus::{FrameKind, MediaMoment, Message, Policy};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, ToSql, params};
use serde::Deserialize;

use super::shares::{self, Names, Shares};

/// The most messages of a page.
const PAGE_MAX: usize = 1000;

/// The most bytes of raw messages of a page unless less is asked for.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// What a row takes beside its texts: numbers, places in five indexes, what is unused in pages.
const ROW_BYTES: usize = 160;

const COLUMNS: &str = "seq, channel, kind, message_id, user, is_binary, stream, life, time_ms, raw";

/// Some of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Arc<Message>>,
    /// When there are more: the number after which they are, or before which when the newest were asked for.
    pub next: Option<u64>,
}

/// Which messages are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Only this channel's.
    pub channel: Option<String>,
    /// Only of these kinds; none: of all.
    pub kinds: Vec<String>,
    /// Only those that were sent with `store: true`, without other CHAT and LIKE.
    pub is_stored: bool,
    /// The smallest number.
    pub from: u64,
    /// What numbers are below.
    pub to: u64,
    /// The newest of them instead of the oldest.
    pub is_newest: bool,
    /// At most so many, and at most 1,000.
    pub count: usize,
    /// At most so many bytes of raw messages, but one message in any case.
    pub bytes: usize,
}

impl Default for PageQuery {
    /// The oldest of everything.
    fn default() -> Self {
        Self {
            channel: None,
            kinds: Vec::new(),
            is_stored: false,
            from: 0,
            to: u64::MAX,
            is_newest: false,
            count: PAGE_MAX,
            bytes: PAGE_BYTES_MAX,
        }
    }
}

/// How much there is: kept beside the messages, because counting millions takes seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Totals {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) newest: u64,
    /// By channel, once that has mattered.
    pub(super) shares: Option<Shares>,
    /// Channels that have a share of their own in any case.
    pub(super) named: Names,
}

impl Totals {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row("SELECT messages, bytes, newest FROM total", [], |row| {
            Ok(Self {
                messages: unsigned(row, 0)?,
                bytes: unsigned(row, 1)?,
                newest: unsigned(row, 2)?,
                shares: None,
                named: Names::default(),
            })
        })
    }

    pub(super) fn add(&mut self, channel: &Arc<str>, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
        if let Some(shares) = &mut self.shares {
            shares.add(channel, bytes);
        }
    }

    pub(super) fn subtract(&mut self, channel: &str, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(shares) = &mut self.shares {
            shares.subtract(channel, bytes);
        }
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

/// See [`super::History::page`].
pub(super) fn page(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Page> {
    // Each kind alone, in the order of its index: several in one statement would all be read and then sorted.
    let mut found = match &query.kinds[..] {
        [] => run(connection, query, None)?,
        kinds => {
            let mut all = Run::default();
            for kind in kinds {
                all.join(run(connection, query, Some(kind))?);
            }
            all
        }
    };
    let key = |message: &Arc<Message>| match query.is_newest {
        true => u64::MAX - message.seq,
        false => message.seq,
    };
    found.messages.sort_by_key(key);
    found.messages.dedup_by_key(|message| message.seq);
    // Of a kind that was cut there may be more behind its last.
    let known = found.cut_at.iter().map(key).min();
    let mut bytes = 0;
    let count = query.count.min(PAGE_MAX);
    let fitting = found
        .messages
        .iter()
        .enumerate()
        .take_while(|(index, message)| {
            bytes += message.raw.len();
            let fits = *index < count && (bytes <= query.bytes || *index == 0);
            fits && known.is_none_or(|known| key(message) <= known)
        });
    let fitting = fitting.count();
    let is_cut = fitting < found.messages.len() || !found.cut_at.is_empty();
    found.messages.truncate(fitting);
    let next = found.messages.last().map(|message| message.seq);
    if query.is_newest {
        found.messages.reverse();
    }
    Ok(Page {
        messages: found.messages,
        next: next.filter(|_| is_cut),
    })
}

/// Messages of one kind or several.
#[derive(Default)]
struct Run {
    messages: Vec<Arc<Message>>,
    /// The last message of each kind of which there are more.
    cut_at: Vec<Arc<Message>>,
}

impl Run {
    fn join(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.cut_at.extend(other.cut_at);
    }
}

/// The first messages of a query, or of one kind of it.
fn run(connection: &Connection, query: &PageQuery, kind: Option<&str>) -> rusqlite::Result<Run> {
    let count = query.count.min(PAGE_MAX);
    let mut select = format!("SELECT {COLUMNS} FROM message WHERE seq >= ?1 AND seq < ?2");
    let limit = signed(count as u64 + 1);
    let (from, to) = (signed(query.from), signed(query.to));
    let mut values: Vec<&dyn ToSql> = vec![&from, &to, &limit];
    if let Some(channel) = &query.channel {
        values.push(channel);
        select.push_str(&format!(" AND channel = ?{}", values.len()));
    }
    if let Some(kind) = &kind {
        values.push(kind);
        select.push_str(&format!(" AND kind = ?{}", values.len()));
    }
    if query.is_stored {
        select.push_str(" AND is_stored");
    }
    select.push_str(match query.is_newest {
        true => " ORDER BY seq DESC LIMIT ?3",
        false => " ORDER BY seq LIMIT ?3",
    });
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query(values.as_slice())?;
    let mut run = Run::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if run.messages.len() == count || bytes > query.bytes {
            run.cut_at.extend(run.messages.last().cloned());
            break;
        }
        let message = read(row)?;
        bytes += message.raw.len();
        run.messages.push(message);
    }
    Ok(run)
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
    totals.subtract(channel, bytes);
    Ok(Some(message))
}

/// Removes all; the newest number stays known, so that none is given twice.
pub(super) fn clear(connection: &Connection, totals: &mut Totals) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM message", [])?;
    totals.messages = 0;
    totals.bytes = 0;
    totals.shares = None;
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

impl Bounds {
    pub(super) fn are_exceeded(&self, messages: u64, bytes: u64) -> bool {
        messages > self.messages || bytes > self.bytes
    }
}

/// Removes messages below `before`, at most `count`, until the rest is within bounds: those that are too old, then the
/// oldest of the channels that take the most. Returns how many went.
pub(super) fn remove(
    connection: &Connection,
    totals: &mut Totals,
    bounds: Bounds,
    before: u64,
    count: usize,
) -> rusqlite::Result<u64> {
    let too_old = remove_old(connection, totals, bounds.oldest.min(before), count)?;
    let most = count.saturating_sub(too_old);
    let too_many = shares::remove_largest(connection, totals, bounds, before, most)?;
    Ok((too_old + too_many) as u64)
}

/// Removes the oldest messages below `before`, at most `count`.
fn remove_old(
    connection: &Connection,
    totals: &mut Totals,
    before: u64,
    count: usize,
) -> rusqlite::Result<usize> {
    let mut last = None;
    {
        let select = "SELECT seq, channel, bytes FROM message WHERE seq < ?1 ORDER BY seq LIMIT ?2";
        let mut statement = connection.prepare(select)?;
        let mut rows = statement.query([signed(before), signed(count as u64)])?;
        while let Some(row) = rows.next()? {
            last = Some(unsigned(row, 0)?);
            totals.subtract(row.get_ref(1)?.as_str()?, unsigned(row, 2)?);
        }
    }
    let Some(last) = last else { return Ok(0) };
    let delete = "DELETE FROM message WHERE seq <= ?1";
    connection.execute(delete, [signed(last)])
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
