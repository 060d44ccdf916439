//! `webhook` of `proscenium.toml`: addresses as on the command line, or `[[webhook]]` tables that say more.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::Source;
use super::messages::{Webhook, WebhookEvent};
use super::{ConfigError, Secret, parse};

const FIELDS: [&str; 3] = ["url", "events", "secret"];

/// All of `webhook`.
pub(super) fn webhooks(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Webhook>, ConfigError> {
    let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::Table(table) => webhook(source, table, value),
        _ => plain(source, value),
    };
    match value.get_ref() {
        DeValue::Array(values) => values.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

/// Only an address: it is told everything.
fn plain(source: &Source<'_>, value: &Spanned<DeValue<'_>>) -> Result<Webhook, ConfigError> {
    let text = string(source, "webhook", value)?;
    parse::webhook(text)
        .map_err(|reason| source.error(&value.span(), format!("webhook `{text}` is {reason}")))
}

fn webhook(
    source: &Source<'_>,
    table: &DeTable<'_>,
    whole: &Spanned<DeValue<'_>>,
) -> Result<Webhook, ConfigError> {
    let (mut webhook, mut events, mut secret) = (None, None, None);
    for (field, value) in table {
        match field.get_ref().as_ref() {
            "url" => webhook = Some(plain(source, value)?),
            "events" => events = Some(self::events(source, value)?),
            "secret" => {
                let text = string(source, "secret", value)?.to_owned();
                secret = Some(Secret::new(text).map_err(|reason| {
                    source.error(&value.span(), format!("`secret` is {reason}"))
                })?);
            }
            _ => return Err(source.unknown(field, " in [[webhook]]", &FIELDS)),
        }
    }
    let mut webhook = webhook.ok_or_else(|| {
        let message = "a [[webhook]] without a url; add url = \"https://...\"";
        source.error(&whole.span(), message)
    })?;
    if let Some(events) = events {
        webhook.events = events;
    }
    webhook.secret = secret;
    Ok(webhook)
}

fn events(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<WebhookEvent>, ConfigError> {
    let known = || {
        let names: Vec<_> = WebhookEvent::ALL.iter().map(|event| event.name()).collect();
        names.join(", ")
    };
    let values = value
        .get_ref()
        .as_array()
        .filter(|values| !values.is_empty());
    let values = values.ok_or_else(|| {
        let message = format!("`events` must be an array of some of: {}", known());
        source.error(&value.span(), message)
    })?;
    let mut events = Vec::new();
    for value in values {
        let name = string(source, "events", value)?;
        let event = WebhookEvent::ALL
            .into_iter()
            .find(|event| event.name() == name);
        let event = event.ok_or_else(|| {
            let message = format!("no event is called `{name}`; known are {}", known());
            source.error(&value.span(), message)
        })?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

fn string<'v>(
    source: &Source<'_>,
    field: &str,
    value: &'v Spanned<DeValue<'_>>,
) -> Result<&'v str, ConfigError> {
    value.get_ref().as_str().ok_or_else(|| {
        let kind = value.get_ref().type_str();
        let message = format!("`{field}` is {kind}; give a string in quotes");
        source.error(&value.span(), message)
    })
}
