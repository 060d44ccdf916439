//! HTTP/1.1 on one connection that stays open: as much of it as a viewer of a known server needs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A blocking reload is answered within three target durations.
const PATIENCE: Duration = Duration::from_secs(40);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 64 << 20;

pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// When its first bytes were here.
    pub(super) at: Instant,
}

impl Answer {
    /// The text of a successful answer.
    pub(super) fn text(&self) -> Result<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        match self.status {
            200 => Ok(text),
            status => bail!("status {status}: {text}"),
        }
    }
}

impl Connection {
    pub(super) async fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)
            .await
            .with_context(|| format!("connecting to {host}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: host.to_owned(),
            buffer: Vec::new(),
        })
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        tokio::time::timeout(PATIENCE, self.answer())
            .await
            .with_context(|| format!("GET {path}: no answer"))?
            .with_context(|| format!("GET {path}"))
    }

    async fn answer(&mut self) -> Result<Answer> {
        self.buffer.clear();
        let mut at = None;
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                bail!("a head of more than {HEAD_BYTES_MAX} bytes");
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            at.get_or_insert_with(Instant::now);
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let length: usize = header(&head, "content-length")
            .with_context(|| format!("no length: {head}"))?
            .parse()?;
        if length > BODY_BYTES_MAX {
            bail!("a body of {length} bytes");
        }
        while self.buffer.len() < end + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed in a body");
            }
        }
        Ok(Answer {
            status,
            body: self.buffer.split_off(end),
            at: at.context("nothing was read")?,
        })
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|at| at == wanted)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
