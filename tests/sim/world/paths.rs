//! Datagrams and messages on their way: from clients to workers, back, and between workers.

use std::time::{Duration, Instant};

use sfu::{Input, Output, Relay, Transport, WorkerId};

use super::World;
use super::queue::Delivery;
use crate::client::{Client, Part};
use crate::conference::Signal;

/// Datagrams kept for mutation.
const SAMPLES_MAX: usize = 400;

/// Streams that a client may write at one instant.
const WRITES_MAX: usize = 64;

/// Time that a message takes from one worker to another.
const RELAY_DELAY: Duration = Duration::from_micros(200);

impl World {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToWorker {
                worker,
                transport,
                source,
                bytes,
            } => {
                self.trace.note(self.now - self.base, "up", source, &bytes);
                if self.keeps_samples && self.samples.len() < SAMPLES_MAX {
                    self.samples.push(bytes.clone());
                }
                self.inject(worker, transport, source, &bytes);
            }
            Delivery::ToClient {
                client,
                external,
                source,
                bytes,
            } => {
                let now = self.now;
                let target = &mut self.clients[client];
                if target.external != external || target.is_dead {
                    return;
                }
                self.trace.note(now - self.base, "down", external, &bytes);
                target.handle(now, source, &bytes);
                self.drain_client(client);
            }
            Delivery::Signal { client, signal } => self.on_signal(client, signal),
            Delivery::Relay { from, to, message } => {
                if matches!(*message, Relay::Packet { .. }) {
                    *self.nodes[from].relaying.entry(to).or_default() -= 1;
                }
                let from = WorkerId(u8::try_from(from).unwrap());
                self.feed(
                    to,
                    Input::Relay {
                        from,
                        message: *message,
                    },
                );
            }
        }
    }

    pub(super) fn drain_worker(&mut self, worker: usize) {
        loop {
            let now = self.now;
            match self.nodes[worker].worker.poll(now) {
                Output::Timeout(at) => {
                    self.nodes[worker].deadline = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.source, self.nodes[worker].address);
                    let target = self
                        .clients
                        .iter()
                        .position(|client| client.external == transmit.destination);
                    let Some(client) = target else { continue };
                    let salt = self.salt ^ (client as u64) << 1;
                    let (base, contents) = (self.base, &transmit.contents);
                    let target = &mut self.clients[client];
                    let at = if target.tcp {
                        Some(now + target.down.delay)
                    } else {
                        target.down.carry(now, base, salt, contents)
                    };
                    if let Some(at) = at {
                        let delivery = Delivery::ToClient {
                            client,
                            external: transmit.destination,
                            source: transmit.source,
                            bytes: transmit.contents,
                        };
                        self.queue.push(at, delivery);
                    }
                }
                Output::Relay { to, message } => self.relay(worker, usize::from(to.0), message),
                Output::Tap { stream, item } => self.taps.push((now, stream, item)),
                Output::Data { peer, event } => self.data.push((now, peer, event)),
                Output::Reply { request, result } => {
                    let before = self.replies.insert(request, result);
                    assert!(before.is_none(), "{request} was answered twice");
                }
                Output::Event(event) => self.on_event(worker, event),
            }
        }
    }

    /// A message that arrives at `at`.
    pub fn post(&mut self, at: Instant, client: usize, signal: Signal) {
        self.queue.push(at, Delivery::Signal { client, signal });
    }

    fn relay(&mut self, from: usize, to: usize, message: Relay) {
        assert_ne!(from, to, "a worker relays to itself: {message:?}");
        if matches!(message, Relay::Packet { .. }) {
            let under_way = self.nodes[from].relaying.entry(to).or_default();
            if *under_way >= self.relay_max {
                self.relay_dropped += 1;
                return;
            }
            *under_way += 1;
        }
        let message = Box::new(message);
        self.queue.push(
            self.now + RELAY_DELAY,
            Delivery::Relay { from, to, message },
        );
    }

    pub(super) fn wake_client(&mut self, at: usize) {
        let now = self.now;
        let client = &mut self.clients[at];
        client.look(now);
        client.handle_timeout(now);
        self.drain_client(at);
    }

    /// Sends what a client has to send.
    pub fn drain_client(&mut self, at: usize) {
        let (now, worker) = (self.now, self.clients[at].worker);
        let client = &mut self.clients[at];
        if client.is_dead {
            return;
        }
        let mut sent = Vec::new();
        let salt = self.salt ^ (at as u64) << 1 ^ 1;
        let base = self.base;
        for _ in 0..WRITES_MAX {
            let tcp = client.tcp;
            client.drain(now, |link, _, bytes| {
                let at = if tcp {
                    Some(now + link.delay)
                } else {
                    link.carry(now, base, salt, &bytes)
                };
                sent.extend(at.map(|at| (at, bytes)));
            });
            if !write_media(client, now) {
                break;
            }
        }
        let source = self.clients[at].external;
        let transport = if self.clients[at].tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        for (at, bytes) in sent {
            self.queue.push(
                at,
                Delivery::ToWorker {
                    worker,
                    transport,
                    source,
                    bytes,
                },
            );
        }
        self.clients[at].plan_wake();
    }
}

/// Lets a connected client write; returns whether it did.
fn write_media(client: &mut Client, now: Instant) -> bool {
    if client.connected_at.is_none() || client.is_closed {
        return false;
    }
    let rtc = &mut client.rtc;
    let wrote = match &mut client.part {
        Part::Publisher(publisher) => {
            if !publisher.is_started() {
                let (audio, video) = (client.audio_mid, client.video_mid);
                publisher.start(now, rtc, audio, video, &client.rids);
            }
            publisher.write(now, rtc)
        }
        Part::Participant(one) => {
            if !one.is_started() {
                one.start(now, rtc);
            }
            one.write(now, rtc)
        }
        Part::Viewer(_) => false,
    };
    if wrote {
        client.handle_timeout(now);
    }
    wrote
}
