//! What moderators decided: bans, slow mode, and the trail of who did what.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::handle::History;
use super::rows::{signed, unsigned};
use crate::store::StoreError;

/// The most bans of a space that count at a time.
const SPACE_BANS_MAX: usize = 1000;

/// The most bans of all spaces; each takes some 200 bytes in memory.
const BANS_MAX: usize = 10_000;

/// The most spaces in slow mode: in each, thousands of people are remembered for as long as they must wait.
const SLOW_MAX: usize = 1000;

/// The most lines of the audit trail, some 20 MB; the oldest go first.
const AUDIT_MAX: u64 = 100_000;

/// Something that a moderator does, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who: what the token says of its holder, or `operator`.
    pub who: String,
    /// What, in one word such as `delete`.
    pub what: &'static str,
    /// Where; empty for the whole venue.
    pub space: String,
    /// To whom or what.
    pub detail: String,
}

/// A line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its number, ascending.
    pub id: u64,
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// Where; empty for the whole venue.
    pub space: String,
    /// To whom or what.
    pub detail: String,
}

/// A ban that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBan {
    /// Where.
    pub space: String,
    /// Whom, by `userId`.
    pub user: Option<String>,
    /// Whom, by address, as [`bus::Input::Opened`] has it.
    pub address: Option<String>,
    /// Until when, in ms since 1970.
    pub until_ms: u64,
}

/// A ban that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Its number.
    pub id: u64,
    /// Where.
    pub space: String,
    /// Whom, by `userId`.
    pub user: Option<String>,
    /// Whom, by address.
    pub address: Option<String>,
    /// Until when, in ms since 1970.
    pub until_ms: u64,
    /// Since when, in ms since 1970.
    pub created_ms: u64,
    /// Who decided it.
    pub who: String,
}

/// A space in slow mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowMode {
    /// Where.
    pub space: String,
    /// The pause between two messages of one person in ms.
    pub pause_ms: u64,
}

impl Audit {
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let insert =
            "INSERT INTO audit (at_ms, who, what, space, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
        let at_ms = signed(self.at_ms);
        connection.execute(
            insert,
            params![at_ms, self.who, self.what, self.space, self.detail],
        )?;
        let oldest = connection
            .last_insert_rowid()
            .saturating_sub(signed(AUDIT_MAX));
        connection
            .execute("DELETE FROM audit WHERE id <= ?1", [oldest])
            .map(drop)
    }
}

impl History {
    /// Notes something that changes nothing here.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn audit(&self, audit: Audit) -> Result<(), StoreError> {
        self.change(move |transaction, _| audit.write(transaction))
            .await
    }

    /// The newest lines of a space's audit trail below `before`, newest first.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn audits(
        &self,
        space: &str,
        before: u64,
        count: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let space = space.to_owned();
        self.read(move |connection| {
            let select = "SELECT id, at_ms, who, what, space, detail FROM audit \
                          WHERE space = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut statement = connection.prepare(select)?;
            let values = params![space, signed(before), signed(count as u64)];
            let rows = statement.query_map(values, |row| {
                Ok(AuditEntry {
                    id: unsigned(row, 0)?,
                    at_ms: unsigned(row, 1)?,
                    who: row.get(2)?,
                    what: row.get(3)?,
                    space: row.get(4)?,
                    detail: row.get(5)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// Bans somebody, and notes who did it. Bans that have ended go.
    ///
    /// # Errors
    /// [`StoreError::TooManyBans`], [`StoreError::Busy`], or what the disk says.
    pub async fn ban(&self, new: NewBan, audit: Audit) -> Result<Ban, StoreError> {
        let space = new.space.clone();
        let made = self.change(move |transaction, _| {
            let now_ms = signed(audit.at_ms);
            transaction.execute("DELETE FROM ban WHERE until_ms <= ?1", [now_ms])?;
            let count = "SELECT count(*), count(*) FILTER (WHERE space = ?1) FROM ban";
            let (all, of_space) = transaction.query_row(count, [&new.space], |row| {
                Ok((unsigned(row, 0)?, unsigned(row, 1)?))
            })?;
            if of_space >= SPACE_BANS_MAX as u64 {
                return Ok(Err((true, SPACE_BANS_MAX)));
            }
            if all >= BANS_MAX as u64 {
                return Ok(Err((false, BANS_MAX)));
            }
            let insert = "INSERT INTO ban (space, user, address, until_ms, created_ms, who) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let until_ms = signed(new.until_ms);
            let values = params![
                new.space,
                new.user,
                new.address,
                until_ms,
                now_ms,
                audit.who
            ];
            transaction.execute(insert, values)?;
            let id = transaction.last_insert_rowid().unsigned_abs();
            audit.write(transaction)?;
            Ok(Ok(Ban {
                id,
                space: new.space,
                user: new.user,
                address: new.address,
                until_ms: new.until_ms,
                created_ms: audit.at_ms,
                who: audit.who,
            }))
        });
        made.await?.map_err(|(is_space, most)| {
            let what = if is_space {
                format!("space `{space}`")
            } else {
                "this server".to_owned()
            };
            StoreError::TooManyBans { what, most }
        })
    }

    /// Lifts a ban of a space, and notes who did it. The ban, or `None` when there was none: then nothing is noted.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn lift_ban(
        &self,
        space: &str,
        id: u64,
        audit: Audit,
    ) -> Result<Option<Ban>, StoreError> {
        let space = space.to_owned();
        self.change(move |transaction, _| {
            let delete = format!("DELETE FROM ban WHERE id = ?1 AND space = ?2 RETURNING {BAN}");
            let values = params![signed(id), space];
            let lifted = transaction.query_row(&delete, values, ban).optional()?;
            if lifted.is_some() {
                audit.write(transaction)?;
            }
            Ok(lifted)
        })
        .await
    }

    /// The bans that count, of one space or of all.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn bans(&self, space: Option<&str>, now_ms: u64) -> Result<Vec<Ban>, StoreError> {
        let space = space.map(str::to_owned);
        self.read(move |connection| {
            let select = format!(
                "SELECT {BAN} FROM ban WHERE until_ms > ?1 AND (?2 IS NULL OR space = ?2) ORDER BY id"
            );
            let mut statement = connection.prepare(&select)?;
            let rows = statement.query_map(params![signed(now_ms), space], ban)?;
            rows.collect()
        })
        .await
    }

    /// Sets a space's slow mode, and notes who did it; 0 ends it.
    ///
    /// # Errors
    /// [`StoreError::TooManySlow`], [`StoreError::Busy`], or what the disk says.
    pub async fn set_slow_mode(&self, mode: SlowMode, audit: Audit) -> Result<(), StoreError> {
        let is_set = self.change(move |transaction, _| {
            if mode.pause_ms == 0 {
                let delete = "DELETE FROM space_setting WHERE space = ?1";
                transaction.execute(delete, [&mode.space])?;
            } else {
                let count = "SELECT count(*) FROM space_setting WHERE space <> ?1";
                let others = transaction.query_row(count, [&mode.space], |row| unsigned(row, 0))?;
                if others >= SLOW_MAX as u64 {
                    return Ok(false);
                }
                let replace =
                    "INSERT OR REPLACE INTO space_setting (space, slow_mode_ms) VALUES (?1, ?2)";
                transaction.execute(replace, params![mode.space, signed(mode.pause_ms)])?;
            }
            audit.write(transaction)?;
            Ok(true)
        });
        match is_set.await? {
            true => Ok(()),
            false => Err(StoreError::TooManySlow { most: SLOW_MAX }),
        }
    }

    /// All spaces in slow mode.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn slow_modes(&self) -> Result<Vec<SlowMode>, StoreError> {
        self.read(|connection| {
            let select = "SELECT space, slow_mode_ms FROM space_setting ORDER BY space";
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map([], |row| {
                Ok(SlowMode {
                    space: row.get(0)?,
                    pause_ms: unsigned(row, 1)?,
                })
            })?;
            rows.collect()
        })
        .await
    }
}

const BAN: &str = "id, space, user, address, until_ms, created_ms, who";

fn ban(row: &Row<'_>) -> rusqlite::Result<Ban> {
    Ok(Ban {
        id: unsigned(row, 0)?,
        space: row.get(1)?,
        user: row.get(2)?,
        address: row.get(3)?,
        until_ms: unsigned(row, 4)?,
        created_ms: unsigned(row, 5)?,
        who: row.get(6)?,
    })
}
