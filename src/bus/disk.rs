//! What the bus's task asks the history for. Answers come back as mail.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bus::{CATCH_UP_MAX, ClientId, Input, Message};
use tokio::sync::mpsc;

use super::mail::Mail;
use crate::clock;
use crate::store::{Audit, History};

/// Kinds that a joiner gets of a channel's history.
const LOADED_KINDS: [&str; 2] = ["CHAT", "LIKE"];

/// How many of each, at most.
const LOAD_MAX: usize = 500;

/// And their bytes.
const LOAD_BYTES_MAX: usize = 512 * 1024;

/// The history, and the mailbox that its answers go to.
pub(super) struct Disk {
    pub(super) history: History,
    pub(super) mailbox: mpsc::UnboundedSender<Mail>,
}

impl Disk {
    /// Writes a message.
    pub(super) fn keep(&self, ticket: u64, message: Arc<Message>) {
        let mailbox = self.mailbox.clone();
        self.history.keep(message, move |is_stored| {
            // Without a task nobody waits for it.
            let _ = mailbox.send(Mail::Kept { ticket, is_stored });
        });
    }

    /// Reads what a joiner of the channel gets.
    pub(super) fn load(&self, channel: Arc<str>) {
        let (history, mailbox) = (self.history.clone(), self.mailbox.clone());
        tokio::spawn(async move {
            let mut messages = Vec::new();
            for kind in LOADED_KINDS {
                let kinds = [kind];
                let latest = history.latest(&channel, &kinds, LOAD_MAX, LOAD_BYTES_MAX);
                match latest.await {
                    Ok(latest) => messages.extend(latest),
                    Err(error) => tracing::error!(%channel, kind, %error, "joiners get no history"),
                }
            }
            messages.sort_by_key(|message| message.seq);
            let _ = mailbox.send(Mail::Direct(Input::Loaded { channel, messages }));
        });
    }

    /// Reads what a client has missed.
    pub(super) fn catch_up(
        &self,
        (client, request): (ClientId, u64),
        channel: Arc<str>,
        (after, before): (u64, u64),
    ) {
        let (history, mailbox) = (self.history.clone(), self.mailbox.clone());
        tokio::spawn(async move {
            let read = history.between(&channel, after, before, CATCH_UP_MAX).await;
            let (messages, is_cut) = match read {
                Ok(page) => (page.messages, page.next.is_some()),
                Err(error) => {
                    tracing::error!(%channel, %error, "a client cannot catch up");
                    (Vec::new(), true)
                }
            };
            let _ = mailbox.send(Mail::Direct(Input::CaughtUp {
                client,
                request,
                messages,
                is_cut,
            }));
        });
    }

    /// Removes everything that is kept; what is kept from now on stays.
    pub(super) fn clear(&self) {
        let audit = Audit {
            at_ms: clock::unix_micros() / 1000,
            who: "operator".to_owned(),
            what: "reset",
            space: String::new(),
            detail: String::new(),
        };
        let history = self.history.clone();
        let mut clearing: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            if let Err(error) = history.clear(audit).await {
                tracing::error!(%error, "the history was not cleared; clear it with GET /messages/clear");
            }
        });
        // It takes its place in the history's queue now, before the next message does.
        let mut nobody = Context::from_waker(Waker::noop());
        if clearing.as_mut().poll(&mut nobody).is_pending() {
            tokio::spawn(clearing);
        }
    }
}
