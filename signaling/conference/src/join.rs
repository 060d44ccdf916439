//! Coming in, coming back, going.

use std::fmt::Write;

use super::connection::Stage;
use super::io::{ConnectionId, Denied, Grant, ParticipantRole, Quality};
use super::member::{Member, MemberKey};
use super::protocol::{
    ErrorCode, Fault, Join, MediaState, Permissions, QualityWord, checked_identity, checked_name,
    close,
};
use super::state::{Conference, FULL_RETRY_AFTER, Moment};

/// Bytes of the random input that make the id; the others make the secret.
const ID_BYTES: usize = 8;

impl Conference {
    /// A client wants in. Whoever knows the secret of an earlier welcome needs no token.
    pub(super) fn join(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        join: Box<Join>,
    ) -> Result<(), Fault> {
        if join.version == 0 {
            return Err(Fault::new(
                ErrorCode::Version,
                "`version` counts from 1; this server speaks version 1",
            ));
        }
        checked_identity(&join.identity)?;
        if !join.name.is_empty() {
            checked_name(&join.name)?;
        }
        let known = self.by_identity.get(&join.identity).copied();
        let resumed = known.filter(|key| {
            let secret = self.members.get(key).map(|member| member.resume.as_str());
            secret
                .zip(join.resume.as_deref())
                .is_some_and(|(secret, told)| is_same_secret(secret, told))
        });
        if let Some(key) = resumed {
            self.come_back(at, connection, key, *join, None);
            return Ok(());
        }
        self.verify(connection, join.token.clone());
        if let Some(waiting) = self.connections.get_mut(&connection) {
            let deadline = at.now + super::connection::JOIN_MAX;
            waiting.stage = Stage::Verifying { deadline, join };
        }
        Ok(())
    }

    /// The token of a client was checked.
    pub(super) fn verified(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        result: Result<Grant, Denied>,
    ) {
        let Some(waiting) = self.connections.get_mut(&connection) else {
            return;
        };
        if !matches!(waiting.stage, Stage::Verifying { .. }) {
            return;
        }
        let deadline = at.now + super::connection::JOIN_MAX;
        let stage = std::mem::replace(&mut waiting.stage, Stage::Waiting { deadline });
        let Stage::Verifying { join, .. } = stage else {
            return;
        };
        let grant = match result {
            Ok(grant) => grant,
            Err(denied) => return self.turn_away(connection, Fault::from(denied), close::TOKEN),
        };
        if grant.name.is_none()
            && let Err(fault) = checked_name(&join.name)
        {
            let fault = fault.of("join");
            return self.send(connection, &fault.to_message());
        }
        let Some(key) = self.by_identity.get(&join.identity).copied() else {
            return self.come_in(at, connection, *join, grant);
        };
        let owner = (self.members.get(&key)).and_then(|member| member.grant.subject.clone());
        if owner.is_some() && owner != grant.subject {
            let fault = Fault::new(
                ErrorCode::Identity,
                "this identity belongs to somebody else; make a new random one",
            );
            return self.turn_away(connection, fault, close::TOKEN);
        }
        self.come_back(at, connection, key, *join, Some(grant));
    }

    /// Somebody new.
    fn come_in(&mut self, at: Moment, connection: ConnectionId, join: Join, grant: Grant) {
        if self.space.locked && grant.role < ParticipantRole::Moderator {
            let fault = Fault::new(
                ErrorCode::Locked,
                "the space is locked; ask a moderator to let you in, then join again",
            );
            return self.turn_away(connection, fault, close::TOKEN);
        }
        if self.members.len() >= self.config.participants_max {
            let fault = Fault::new(
                ErrorCode::Full,
                format!(
                    "{} has room for {} participants and is full; try again later",
                    self.config.space, self.config.participants_max
                ),
            )
            .after(FULL_RETRY_AFTER);
            return self.turn_away(connection, fault, close::FULL);
        }
        let Some(random) = (self.connections.get(&connection)).map(|waiting| waiting.random) else {
            return;
        };
        let key = MemberKey(self.next_id());
        let mut id = format!("p_{}", hexadecimal(&random[..ID_BYTES]));
        if self.by_id.contains_key(&id) {
            // Only a broken generator comes here; two participants with one id would be worse.
            id = format!("{id}-{}", key.0);
        }
        let name = grant.name.clone().unwrap_or(join.name.trim().to_owned());
        let member = Member {
            id: id.clone(),
            identity: join.identity.clone(),
            resume: hexadecimal(&random[ID_BYTES..]),
            role: grant.role,
            grant,
            stage: false,
            name,
            data: join.data.clone(),
            hand: None,
            joined: at.wall,
            connection: Some(connection),
            session: None,
            feeds: std::collections::BTreeMap::new(),
            streams: std::collections::BTreeMap::new(),
            held: std::collections::BTreeMap::new(),
            watch: None,
            silence: Vec::new(),
            role_told: ParticipantRole::Viewer,
            permissions_told: Permissions::default(),
            quality: Quality::Good,
            quality_told: QualityWord::Good,
            unreachable_since: None,
            heard: at.now,
            detached: at.now,
        };
        self.members.insert(key, member);
        self.by_identity.insert(join.identity.clone(), key);
        self.by_id.insert(id.clone(), key);
        self.presence.joined(key);
        self.joined(id, key);
        self.enter(connection, key, join, MediaState::New);
    }

    /// The same participant again: after a lost WebSocket, or as a new page. Nobody sees it leave.
    fn come_back(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        key: MemberKey,
        join: Join,
        grant: Option<Grant>,
    ) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        if let Some(old) = member.connection.replace(connection) {
            self.close(old, close::REPLACED, "the same participant joined again");
        }
        let is_kept = grant.is_none()
            && join.sdp.is_none()
            && (self.members.get(&key))
                .and_then(|member| member.session.as_ref())
                .is_some_and(|session| session.is_open);
        if !is_kept {
            self.close_session(key);
        }
        let random = self.connections.get(&connection).map(|new| new.random);
        self.change(key, |member| {
            member.heard = at.now;
            if let Some(grant) = grant {
                // What a moderator gave or took stays, unless the token says something new.
                if grant.role != member.grant.role {
                    member.role = grant.role;
                }
                member.grant = grant;
                if let Some(random) = random {
                    member.resume = hexadecimal(&random[ID_BYTES..]);
                }
            }
            if let Some(name) = &member.grant.name {
                member.name.clone_from(name);
            } else if !join.name.trim().is_empty() {
                member.name = join.name.trim().to_owned();
            }
            if !is_kept {
                member.data.clone_from(&join.data);
            }
        });
        let media = if is_kept {
            MediaState::Kept
        } else {
            MediaState::New
        };
        // Reachability may have changed with the WebSocket alone.
        self.presence.updated(key);
        self.enter(connection, key, join, media);
    }

    /// What coming in and coming back have in common.
    fn enter(
        &mut self,
        connection: ConnectionId,
        key: MemberKey,
        mut join: Join,
        media: MediaState,
    ) {
        if let Some(entered) = self.connections.get_mut(&connection) {
            entered.stage = Stage::Joined(key);
        }
        let stage_only = self.space.stage_only;
        if let Some(member) = self.members.get_mut(&key) {
            member.permissions_told = member.permissions(stage_only);
            member.role_told = member.role;
        }
        let mut faults = Vec::new();
        if let Some(sdp) = join.sdp.take() {
            self.open_session(key, connection, 0, sdp);
            for publish in join.feeds {
                if let Err(fault) = self.publish(key, publish) {
                    faults.push(fault.of("publish"));
                }
            }
        }
        self.welcome(key, connection, media);
        self.tell_held(key);
        for fault in faults {
            self.send(connection, &fault.to_message());
        }
        self.tell_everything(key, connection);
    }

    /// Says why, and closes.
    fn turn_away(&mut self, connection: ConnectionId, fault: Fault, code: u16) {
        let reason = match code {
            close::FULL => "full",
            _ => "not let in",
        };
        self.send(connection, &fault.of("join").to_message());
        self.close(connection, code, reason);
    }
}

/// Compares without telling by the time it takes how much was right.
fn is_same_secret(secret: &str, told: &str) -> bool {
    secret.len() == told.len()
        && (secret.bytes().zip(told.bytes())).fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
