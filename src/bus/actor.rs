//! The task of the bus.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{self, ClientId, Hub, Input, MediaMoment, Message, Moderation, Output, Subscription};
use tokio::sync::{mpsc, oneshot};

use super::counters::BusCounters;
use super::disk::Disk;
use super::handle::{BusError, Opening, Shared};
use super::mail::Mail;
use super::outbox::{Item, Pushed, Sender};
use super::pace;
use super::parcel::{Parcel, Types};
use crate::clock;

/// Mails of one turn.
const MAILS_PER_TURN: usize = 1024;

/// How often those who were too slow for positions are looked after.
const STALE_EVERY: Duration = Duration::from_millis(200);

/// Longer messages are pictures of people, which need not be in time with anything; reading them twice would cost.
const MOMENT_BYTES_MAX: usize = 16 * 1024;

/// How long messages that are on their way to the disk may take when the server stops.
const KEEP_MAX: Duration = Duration::from_secs(1);

/// A client as the task knows it.
struct Seat {
    sender: Sender,
    /// Its space, unless it hears all of them.
    space: Option<Arc<str>>,
    /// The types that it wants; none: all.
    types: Types,
}

struct Actor {
    shared: Arc<Shared>,
    disk: Disk,
    hub: Hub,
    /// By number. `None`: nobody, or somebody who is to hear nothing more.
    seats: Vec<Option<Seat>>,
    /// Who was too slow for positions.
    stale: Vec<ClientId>,
    stale_from: Instant,
    /// Whose end the hub has heard of in this turn.
    closed: Vec<ClientId>,
    publishing: HashMap<u64, oneshot::Sender<Result<u64, BusError>>>,
    next_answer: u64,
    /// Messages that are on their way to the disk.
    keeping: usize,
    /// Items pushed in this turn.
    pushes: usize,
    cores: usize,
}

/// Starts the task; it ends some time after the shutdown has begun.
pub(super) fn spawn(shared: Arc<Shared>, mail: mpsc::UnboundedReceiver<Mail>) {
    let mut settings = shared.settings.hub.clone();
    settings.last_seq = settings.last_seq.max(shared.history.newest_seq());
    let actor = Actor {
        disk: Disk {
            history: shared.history.clone(),
            mailbox: shared.mailbox.clone(),
        },
        hub: Hub::new(settings),
        seats: Vec::new(),
        stale: Vec::new(),
        stale_from: clock::now(),
        closed: Vec::new(),
        publishing: HashMap::new(),
        next_answer: 0,
        keeping: 0,
        pushes: 0,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        shared,
    };
    tokio::spawn(actor.run(mail));
}

impl Actor {
    async fn run(mut self, mut mail: mpsc::UnboundedReceiver<Mail>) {
        self.remember().await;
        let shutdown = self.shared.shutdown.clone();
        let mut stopping = pin!(shutdown.begun());
        let mut mails = Vec::new();
        loop {
            let wake = [self.hub.deadline(), self.stale_at()];
            let wake = wake.into_iter().flatten().min();
            tokio::select! {
                biased;
                () = &mut stopping => break,
                _ = mail.recv_many(&mut mails, MAILS_PER_TURN) => {}
                () = sleep_until(wake) => {}
            }
            let gap = self.turn(&mut mails);
            // Who is behind does not wait.
            if let Some(until) = gap.filter(|_| mail.is_empty()) {
                tokio::time::sleep_until(until.into()).await;
            }
        }
        self.finish(mail, mails).await;
    }

    /// Messages that are being written are written and told to everybody; then everybody is sent away.
    async fn finish(mut self, mut mail: mpsc::UnboundedReceiver<Mail>, mut mails: Vec<Mail>) {
        let until = clock::now() + KEEP_MAX;
        self.turn(&mut mails);
        while self.keeping > 0 {
            let came = mail.recv_many(&mut mails, MAILS_PER_TURN);
            if tokio::time::timeout_at(until.into(), came).await.is_err() {
                tracing::error!(
                    messages = self.keeping,
                    "the disk did not take all messages in time; their senders were not told so"
                );
                break;
            }
            self.turn(&mut mails);
        }
        self.shared.room.close();
        // With the seats go the sending ends of all outboxes, which say why.
        drop((self.seats, mail));
    }

    /// What moderators had decided before the last stop.
    async fn remember(&mut self) {
        let now_ms = clock::unix_micros() / 1000;
        let bans = self.shared.history.bans(None, now_ms).await;
        let modes = self.shared.history.slow_modes().await;
        if let Some(error) = bans.as_ref().err().or(modes.as_ref().err()) {
            tracing::error!(%error, "bans and slow mode of spaces cannot be read; they do not count until they are decided again");
        }
        let bans = bans.unwrap_or_default().into_iter();
        let bans = bans.map(|ban| Moderation::Ban {
            channel: ban.space.into(),
            user: ban.user.map(Into::into),
            address: ban.address.map(Into::into),
            until_ms: ban.until_ms,
        });
        let modes = modes.unwrap_or_default().into_iter();
        let modes = modes.map(|mode| Moderation::SlowMode {
            channel: mode.space.into(),
            pause_ms: mode.pause_ms,
        });
        for moderation in bans.chain(modes) {
            self.hub.handle(
                clock::now(),
                clock::unix_micros(),
                Input::Moderate(moderation),
            );
        }
        self.carry_out_all();
    }

    /// All that came, and all that follows from it. When the next turn may be, if it has to wait.
    fn turn(&mut self, mails: &mut Vec<Mail>) -> Option<Instant> {
        let (now, unix_us) = (clock::now(), clock::unix_micros());
        let mut units = 0;
        for mail in mails.drain(..) {
            units += mail.units();
            if let Some(input) = self.input(mail) {
                self.hub.handle(now, unix_us, input);
            }
        }
        self.shared.room.add_permits(units);
        if self.hub.deadline().is_some_and(|deadline| deadline <= now) {
            self.hub.handle(now, unix_us, Input::Timeout);
        }
        if self.stale_at().is_some_and(|at| at <= now) {
            self.look_after_stale(now, unix_us);
        }
        self.pushes = 0;
        self.carry_out_all();
        // What was for a client that is gone has been polled: its number may be used again.
        for client in self.closed.drain(..) {
            self.shared.forget(client);
        }
        BusCounters::count(&self.shared.counters.turns, 1);
        pace::gap(self.pushes, self.cores).map(|gap| now + gap)
    }

    fn input(&mut self, mail: Mail) -> Option<Input> {
        let counters = self.shared.counters.clone();
        Some(match mail {
            Mail::Opened {
                client,
                opening,
                sender,
            } => self.open(client, opening, sender),
            Mail::Said {
                client,
                frame,
                bytes,
                ..
            } => {
                BusCounters::count(&counters.said, 1);
                let seat = self.seat(client)?;
                let media = self.moment(seat.space.as_deref(), &bytes);
                Input::Said {
                    client,
                    frame,
                    bytes,
                    media,
                }
            }
            Mail::Moved {
                client,
                user,
                position,
            } => Input::Moved {
                client,
                user,
                position,
            },
            Mail::Publish {
                bytes,
                except,
                reply,
                ..
            } => {
                BusCounters::count(&counters.published, 1);
                self.next_answer += 1;
                self.publishing.insert(self.next_answer, reply);
                Input::Publish {
                    media: self.moment(None, &bytes),
                    bytes,
                    except,
                    answer: Some(self.next_answer),
                }
            }
            Mail::Kept { ticket, is_stored } => self.kept(ticket, is_stored),
            Mail::Direct(input) => input,
            Mail::WhoSaid {
                channel,
                seq,
                reply,
            } => {
                // Who asked may be gone.
                let _ = reply.send(self.hub.sender_of(&channel, seq).cloned());
                return None;
            }
            Mail::Closed { client } => {
                self.close(client);
                Input::Closed { client }
            }
        })
    }

    fn kept(&mut self, ticket: u64, is_stored: bool) -> Input {
        self.keeping -= 1;
        let counters = &self.shared.counters;
        let counter = match is_stored {
            true => &counters.kept,
            false => &counters.not_kept,
        };
        BusCounters::count(counter, 1);
        Input::Kept { ticket, is_stored }
    }

    /// Where the picture is of the space that a message is said in.
    fn moment(&self, space: Option<&str>, bytes: &[u8]) -> Option<MediaMoment> {
        if bytes.len() > MOMENT_BYTES_MAX {
            return None;
        }
        match space {
            Some(space) => (self.shared.moments)(space),
            None => (self.shared.moments)(&bus::channel_of(bytes)?),
        }
    }

    fn open(&mut self, client: ClientId, opening: Opening, sender: Sender) -> Input {
        let index = client.0 as usize;
        if self.seats.len() <= index {
            self.seats.resize_with(index + 1, || None);
        }
        let (space, types) = match &opening.subscription {
            Subscription::Everything => (None, Arc::default()),
            Subscription::Space { space, types, .. } => {
                (Some(space.clone()), types.as_slice().into())
            }
        };
        self.seats[index] = Some(Seat {
            sender,
            space,
            types,
        });
        Input::Opened {
            client,
            subscription: opening.subscription,
            permissions: opening.permissions,
            address: opening.address,
        }
    }

    fn seat(&self, client: ClientId) -> Option<&Seat> {
        self.seats.get(client.0 as usize)?.as_ref()
    }

    fn close(&mut self, client: ClientId) {
        if let Some(seat) = self.seats.get_mut(client.0 as usize) {
            *seat = None;
        }
        self.closed.push(client);
    }

    fn carry_out_all(&mut self) {
        while let Some(output) = self.hub.poll() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Deliver {
                to,
                except,
                messages,
            } => self.deliver(&to, except, messages),
            Output::Tell { client, message } => {
                // What `since` brings is told alone.
                let is_unwanted = |seat: &Seat| !message.is_wanted(&seat.types);
                if self.seat(client).is_some_and(is_unwanted) {
                    return;
                }
                BusCounters::count(&self.shared.counters.delivered, 1);
                self.push(client, |sender| sender.push(Item::One(message)));
            }
            Output::Positions {
                to,
                frame,
                bytes,
                is_whole,
            } => {
                BusCounters::count(&self.shared.counters.positions, to.len() as u64);
                for client in to.iter() {
                    self.push(*client, |sender| {
                        sender.push_positions(frame, bytes.clone(), is_whole)
                    });
                }
            }
            Output::Keep { ticket, message } => {
                self.keeping += 1;
                self.disk.keep(ticket, message);
            }
            Output::Published { answer, result } => {
                if let Some(reply) = self.publishing.remove(&answer) {
                    // Who asked may be gone.
                    let _ = reply.send(result.map_err(BusError::Refused));
                }
            }
            Output::Unheeded { channel } => tracing::warn!(
                space = %channel,
                "a ban or slow mode is not in force: there are too many in other spaces; lift some, and restart"
            ),
            Output::Clear => self.disk.clear(),
            Output::Load { channel } => self.disk.load(channel),
            Output::CatchUp {
                client,
                request,
                channel,
                after,
                before,
            } => (self.disk).catch_up((client, request), channel, (after, before)),
            Output::Close {
                client,
                code,
                reason,
            } => {
                let seat = self.seats.get_mut(client.0 as usize);
                if let Some(seat) = seat.and_then(Option::take) {
                    seat.sender.close(code, reason);
                }
            }
        }
    }

    fn deliver(
        &mut self,
        to: &[ClientId],
        except: Option<ClientId>,
        messages: Arc<[Arc<Message>]>,
    ) {
        let mut parcel = Parcel::new(messages, to.len());
        let mut delivered = 0;
        for client in to.iter().filter(|client| Some(**client) != except) {
            let Some(item) = self.seat(*client).and_then(|seat| parcel.of(&seat.types)) else {
                continue;
            };
            delivered += match &item {
                Item::Batch(batch) => batch.messages().len(),
                _ => 1,
            };
            self.push(*client, |sender| sender.push(item));
        }
        BusCounters::count(&self.shared.counters.delivered, delivered as u64);
    }

    fn push(&mut self, client: ClientId, push: impl FnOnce(&Sender) -> Pushed) {
        let Some(slot) = self.seats.get_mut(client.0 as usize) else {
            return;
        };
        let Some(seat) = slot else { return };
        self.pushes += 1;
        match push(&seat.sender) {
            Pushed::Queued(0) => {}
            Pushed::Queued(replaced) => {
                BusCounters::count(&self.shared.counters.replaced, replaced as u64);
            }
            Pushed::Stale(replaced) => {
                BusCounters::count(&self.shared.counters.replaced, replaced as u64);
                if !self.stale.contains(&client) {
                    self.stale.push(client);
                }
            }
            Pushed::Overflowed => {
                BusCounters::count(&self.shared.counters.slow, 1);
                tracing::info!(
                    "a client of the message bus does not read; its connection is closed"
                );
                // The hub hears of it when the connection is closed.
                *slot = None;
            }
        }
    }

    fn stale_at(&self) -> Option<Instant> {
        (!self.stale.is_empty()).then_some(self.stale_from)
    }

    /// Asks for all positions for those who have read what waited.
    fn look_after_stale(&mut self, now: Instant, unix_us: u64) {
        self.stale_from = now + STALE_EVERY;
        for client in std::mem::take(&mut self.stale) {
            let Some(seat) = self.seat(client) else {
                continue;
            };
            if seat.sender.wants_positions() {
                self.hub.handle(now, unix_us, Input::Lagged { client });
            } else if seat.sender.is_stale() {
                self.stale.push(client);
            }
        }
    }
}

/// Never, without an instant.
async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
