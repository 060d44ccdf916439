//! The built binary as a process of its own, on loopback and free ports, bounded in time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use str0m::Rtc;
use str0m::media::{Direction, MediaKind};
use tempfile::TempDir;

/// No step of a healthy server takes nearly so long, even on a busy machine.
const STEP_MAX: Duration = Duration::from_secs(60);

/// How a short command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Failed, with these parts in its complaint, and nothing like a panic.
    pub(crate) fn check_error(&self, parts: &[&str]) {
        let Self { code, stderr, .. } = self;
        assert!(code.is_some_and(|code| code != 0), "{code:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "no `{part}` in: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proscenium"));
    // What the developer has set is none of the test's business.
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("PROSCENIUM_") || key == "RUST_LOG" {
            command.env_remove(key);
        }
    }
    command.current_dir(std::env::temp_dir());
    command
}

/// Runs a command that ends by itself; one that does not is ended and fails the test.
pub(crate) fn carry_out(arguments: &[&str]) -> Ended {
    carry_out_with(arguments, &[])
}

/// The same, with variables.
pub(crate) fn carry_out_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = binary();
    command.args(arguments).envs(variables.iter().copied());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let stderr = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let status = wait_for(&mut child, STEP_MAX);
    let _ = child.kill();
    let ended = Ended {
        code: status.and_then(|status| status.code()),
        stdout: stdout.join().unwrap().unwrap(),
        stderr: stderr.join().unwrap().unwrap(),
    };
    assert!(
        status.is_some(),
        "{arguments:?} did not end: {}",
        ended.stderr
    );
    ended
}

/// A new, empty directory.
pub(crate) fn data_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("proscenium-test-")
        .tempdir()
        .unwrap()
}

/// Asks again until it is so; fails after [`STEP_MAX`].
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + STEP_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {STEP_MAX:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The offer of a publisher with sound and picture, as a real WebRTC engine makes it.
pub(crate) fn offer() -> String {
    let mut rtc = Rtc::new(Instant::now());
    let mut changes = rtc.sdp_api();
    changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
    changes.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
    changes.apply().unwrap().0.to_sdp_string()
}

fn wait_for(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if Instant::now() >= deadline => return None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A running server with a data directory of its own; ended when dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    lines: Receiver<String>,
    log: Option<JoinHandle<String>>,
    text: String,
    data_dir: String,
    _directory: Option<TempDir>,
}

impl Server {
    /// Starts `serve` or `demo` on free ports and waits until it listens.
    pub(crate) fn start(command: &str, more: &[&str]) -> Self {
        let directory = data_dir();
        let path = directory.path().to_owned();
        Self::start_in(Some(directory), &path, command, more)
    }

    /// Starts `serve` on a directory that outlives it.
    pub(crate) fn start_on(path: &Path) -> Self {
        Self::start_in(None, path, "serve", &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(path: &Path, more: &[&str]) -> Self {
        Self::start_in(None, path, "serve", more)
    }

    /// Starts `demo` on a directory that outlives it.
    pub(crate) fn start_demo(path: &Path) -> Self {
        Self::start_in(None, path, "demo", &[])
    }

    fn start_in(directory: Option<TempDir>, path: &Path, command: &str, more: &[&str]) -> Self {
        let mut child = binary()
            .args([
                command,
                "--listen=127.0.0.1:0",
                "--rtc-port=0",
                "--media-threads=2",
            ])
            .arg("--data-dir")
            .arg(path)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let log = Some(log);
        let (address, text) = (String::new(), String::new());
        let mut server = Self {
            child,
            address,
            lines,
            log,
            text,
            data_dir: path.to_str().unwrap().to_owned(),
            _directory: directory,
        };
        let line = server.stdout_until("listening on http://");
        server.address = line
            .trim()
            .trim_start_matches("listening on http://")
            .to_owned();
        server
    }

    /// Reads stdout up to a line that contains `part`; returns all that was read so far.
    pub(crate) fn stdout_until(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(STEP_MAX) {
                Ok(line) => {
                    self.text.push_str(&line);
                    self.text.push('\n');
                    if line.contains(part) {
                        return self.text.clone();
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{part}` within {STEP_MAX:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("no `{part}`: {}", self.log()),
            }
        }
    }

    /// All that it printed; waits until it has ended.
    pub(crate) fn stdout(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(STEP_MAX) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
        self.text.clone()
    }

    /// Where it listens, `127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn data_dir(&self) -> &str {
        &self.data_dir
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        kill(
            Pid::from_raw(i32::try_from(self.id()).unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.wait_for(STEP_MAX)
    }

    /// Its exit code, if it ends within `limit`.
    pub(crate) fn wait_for(&mut self, limit: Duration) -> Option<i32> {
        let status = wait_for(&mut self.child, limit);
        status
            .unwrap_or_else(|| panic!("the server did not end within {limit:?}"))
            .code()
    }

    /// All that it logged; it is ended for that if it still runs.
    pub(crate) fn log(&mut self) -> String {
        let _ = self.child.kill();
        self.log
            .take()
            .map(|log| log.join().unwrap())
            .unwrap_or_default()
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(STEP_MAX)).unwrap();
        Connection {
            stream,
            read: String::new(),
        }
    }

    /// The whole answer to a `GET`.
    pub(crate) fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        self.connect().exchange(&head)
    }

    /// The whole answer to a `POST` of an SDP offer.
    pub(crate) fn post(&self, path: &str, sdp: &str, bearer: Option<&str>) -> String {
        let bearer = bearer.map_or(String::new(), |key| {
            format!("Authorization: Bearer {key}\r\n")
        });
        let length = sdp.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{bearer}\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
        );
        self.connect().exchange(&request)
    }

    /// A WebSocket to the conference of a space.
    pub(crate) fn participant(&self, space: &str) -> Connection {
        let mut connection = self.connect();
        let head = format!(
            "GET /rtc/{space} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        connection.stream.write_all(head.as_bytes()).unwrap();
        connection
    }

    /// The event stream of a space.
    pub(crate) fn events(&self, space: &str) -> Connection {
        let mut connection = self.connect();
        let head = format!("GET /api/spaces/{space}/events HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.stream.write_all(head.as_bytes()).unwrap();
        connection
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP connection.
pub(crate) struct Connection {
    stream: TcpStream,
    read: String,
}

impl Connection {
    /// Sends a request and reads until the server closes; empty if the connection is gone.
    pub(crate) fn exchange(&mut self, request: &str) -> String {
        let mut answer = Vec::new();
        if self.stream.write_all(request.as_bytes()).is_ok() {
            let _ = self.stream.read_to_end(&mut answer);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Reads until `part` came (true) or the server has closed (false).
    pub(crate) fn read_until(&mut self, part: &str) -> bool {
        let mut buffer = [0; 4096];
        while !self.read.contains(part) {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self
                    .read
                    .push_str(&String::from_utf8_lossy(&buffer[..length])),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("no `{part}` and no end: {error}"),
            }
        }
        true
    }
}
