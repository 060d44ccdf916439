//! Receivers as people write them: some fail, some are slow, some lie.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::event::Participant;
use super::receiver::Pace;
use super::watch::Streams;
use super::{Event, Notifier, sign};
use crate::clock;
use crate::config::{Secret, Webhook, WebhookEvent};

const SECRET: &str = "sixteen-or-more-characters";

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Request {
    head: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut headers = lines.filter_map(|line| line.split_once(": "));
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers one request after the other with these, then with 204 for ever. An empty answer is none: the connection stays open.
fn serve(answers: &[&'static str]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=x", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read(&stream) else {
                continue;
            };
            let answer = answers.next().unwrap_or("204 No Content\r\n");
            if sender.send(request).is_err() {
                return;
            }
            if answer.is_empty() {
                held.push(stream);
            } else {
                let _ = write!(stream, "HTTP/1.1 {answer}\r\n");
            }
        }
    });
    (url, requests)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut request = Request {
        head,
        body: String::new(),
    };
    let length = request.header("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

fn webhook(url: &str, events: &[WebhookEvent]) -> Webhook {
    Webhook {
        url: url.parse().unwrap(),
        events: events.to_vec(),
        secret: Some(Secret::new(SECRET.to_owned()).unwrap()),
    }
}

fn quick(tries_max: u32) -> Pace {
    Pace {
        tries_max,
        first: Duration::from_millis(1),
        wait_max: Duration::from_millis(5),
        timeout: PATIENCE,
    }
}

fn start(hooks: &[Webhook], pace: Pace) -> Notifier {
    Notifier::start_with(hooks, pace).unwrap()
}

fn event(kind: WebhookEvent, space: &str) -> Event {
    Event::new(kind, space.into(), clock::wall())
}

fn of(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

#[test]
fn what_a_receiver_reads_is_plain_json() {
    let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
    let bare = Event::new(WebhookEvent::Live, "residence".into(), time);
    let full = Event {
        stream: Some("main".into()),
        participant: Some(Participant {
            id: "p_1".into(),
            name: "Ada".into(),
        }),
        recording: Some("00c0ffee".into()),
        ..bare.clone()
    };
    let body = |event: &Event| serde_json::from_slice::<Value>(&event.body()).unwrap();
    let id = bare.id.to_string();
    assert_eq!(
        body(&bare),
        json!({"event": "live", "space": "residence", "time": "2023-11-14T22:13:20.042Z", "id": id})
    );
    assert_eq!(
        body(&full)["participant"],
        json!({"id": "p_1", "name": "Ada"})
    );
    assert_eq!(body(&full)["recording"], "00c0ffee");
    assert_eq!(body(&full)["stream"], "main");
}

#[test]
fn a_receiver_that_fails_twice_gets_the_event_the_third_time_signed_each_time() {
    let (url, requests) = serve(&[
        "500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
        "429 Too Many Requests\r\n",
    ]);
    let notifier = start(&[webhook(&url, &[WebhookEvent::Live])], quick(10));
    let before = clock::unix_seconds();
    notifier.tell(&event(WebhookEvent::Live, "residence"));
    let tries: Vec<_> = (0..3)
        .map(|_| requests.recv_timeout(PATIENCE).unwrap())
        .collect();
    for request in &tries {
        assert!(
            request.head.starts_with("POST /hook?token=x HTTP/1.1\r\n"),
            "{request:?}"
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("x-proscenium-event"), Some("live"));
        assert_eq!(request.event()["id"], tries[0].event()["id"]);
        let signature = request.header("x-proscenium-signature").unwrap();
        let time = signature
            .strip_prefix("t=")
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        let time: i64 = time.parse().unwrap();
        assert!((before..=clock::unix_seconds()).contains(&time));
        assert_eq!(signature, sign(SECRET, time, request.body.as_bytes()));
    }
    assert!(notifier.finish(PATIENCE));
    let counters = notifier.counters();
    assert_eq!((of(&counters.delivered), of(&counters.retried)), (1, 2));
}

#[test]
fn without_a_secret_nothing_is_signed_and_only_wanted_events_come() {
    let (url, requests) = serve(&[]);
    let hook = Webhook {
        secret: None,
        ..webhook(&url, &[WebhookEvent::Ended])
    };
    let notifier = start(&[hook], quick(1));
    notifier.tell(&event(WebhookEvent::Live, "a"));
    notifier.tell(&event(WebhookEvent::Ended, "b"));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.event()["space"], "b");
    assert_eq!(request.header("x-proscenium-signature"), None);
}

#[test]
fn a_redirection_is_not_followed_and_a_refusal_not_repeated() {
    let (elsewhere, strangers) = serve(&[]);
    let answer = format!("307 Temporary Redirect\r\nLocation: {elsewhere}\r\n");
    let (url, requests) = serve(&[answer.leak(), "404 Not Found\r\n"]);
    let notifier = start(&[webhook(&url, &WebhookEvent::ALL)], quick(10));
    for space in ["one", "two", "three"] {
        notifier.tell(&event(WebhookEvent::Live, space));
    }
    let spaces: Vec<_> = (0..3)
        .map(|_| requests.recv_timeout(PATIENCE).unwrap().event()["space"].clone())
        .collect();
    assert_eq!(spaces, ["one", "two", "three"], "in their order, once each");
    assert!(notifier.finish(PATIENCE));
    assert!(strangers.try_recv().is_err());
    let counters = notifier.counters();
    assert_eq!((of(&counters.given_up), of(&counters.delivered)), (2, 1));
}

#[test]
fn an_event_is_given_up_after_so_many_attempts_and_the_next_one_comes() {
    let failing = ["503 Service Unavailable\r\n"; 3];
    let (url, requests) = serve(&failing);
    let notifier = start(&[webhook(&url, &WebhookEvent::ALL)], quick(3));
    notifier.tell(&event(WebhookEvent::Live, "lost"));
    notifier.tell(&event(WebhookEvent::Live, "found"));
    let spaces: Vec<_> = (0..4)
        .map(|_| requests.recv_timeout(PATIENCE).unwrap().event()["space"].clone())
        .collect();
    assert_eq!(spaces, ["lost", "lost", "lost", "found"]);
}

#[test]
fn a_receiver_that_never_answers_delays_no_other_and_its_queue_ends() {
    let (silent, asked) = serve(&["", "", ""]);
    let (good, requests) = serve(&[]);
    let hooks = [&silent, &good].map(|url| webhook(url, &WebhookEvent::ALL));
    let notifier = start(&hooks, quick(1));
    notifier.tell(&event(WebhookEvent::Live, "first"));
    asked.recv_timeout(PATIENCE).unwrap();
    // The first hangs with this one; so many more wait, and the oldest two of those make room.
    for number in 0..1002 {
        notifier.tell(&event(WebhookEvent::Live, &format!("space-{number}")));
        let expected = if number == 0 {
            "first".to_owned()
        } else {
            format!("space-{}", number - 1)
        };
        let request = requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.event()["space"], expected.as_str());
    }
    assert_eq!(of(&notifier.counters().dropped), 2);
    assert!(
        !notifier.finish(Duration::from_millis(1)),
        "the silent one still hangs"
    );
}

#[test]
fn an_answer_that_is_no_http_or_never_ends_is_a_failure_or_cut_off() {
    let endless = format!(
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "5\r\nhello\r\n".repeat(9999)
    );
    let garbage = "nonsense";
    let (url, requests) = serve(&[garbage, endless.leak()]);
    let notifier = start(&[webhook(&url, &WebhookEvent::ALL)], quick(3));
    notifier.tell(&event(WebhookEvent::Live, "a"));
    for _ in 0..2 {
        requests.recv_timeout(PATIENCE).unwrap();
    }
    assert!(notifier.finish(PATIENCE));
    assert_eq!(of(&notifier.counters().delivered), 1);
}

#[test]
fn a_server_that_stops_tries_once_more_without_waiting() {
    let (url, requests) = serve(&["500 No\r\n"]);
    let pace = Pace {
        first: Duration::from_secs(3600),
        wait_max: Duration::from_secs(3600),
        ..quick(10)
    };
    let notifier = start(&[webhook(&url, &WebhookEvent::ALL)], pace);
    notifier.tell(&event(WebhookEvent::Ended, "a"));
    requests.recv_timeout(PATIENCE).unwrap();
    assert!(notifier.finish(PATIENCE));
    assert_eq!(of(&notifier.counters().delivered), 1);
}

#[test]
fn waits_grow_threefold_from_a_second_to_ten_minutes() {
    let pace = Pace::default();
    let waits: Vec<_> = (1..10)
        .map(|failures| pace.wait(failures, 0.0).as_secs())
        .collect();
    assert_eq!(waits, [1, 3, 9, 27, 81, 243, 600, 600, 600]);
    assert_eq!(pace.wait(1_000_000, 1.0), Duration::from_secs(450));
}

#[test]
fn what_is_live_and_ends_is_told_once() {
    let mut streams = Streams::default();
    let space: Arc<str> = "residence".into();
    let mut see = |live: &[(&str, u64)]| -> Vec<(&'static str, String)> {
        let live = live.iter().map(|(stream, since)| {
            (
                (*stream).into(),
                Some(UNIX_EPOCH + Duration::from_secs(*since)),
            )
        });
        let events = streams.see(&space, live.collect(), clock::wall());
        let words = |event: Event| (event.kind.name(), event.stream.unwrap().to_string());
        events.into_iter().map(words).collect()
    };
    let of = |kind, stream: &str| (kind, stream.to_owned());
    assert_eq!(see(&[]), []);
    assert_eq!(see(&[("main", 1)]), [of("live", "main")]);
    assert_eq!(see(&[("main", 1)]), []);
    assert_eq!(see(&[("balcony", 2), ("main", 1)]), [of("live", "balcony")]);
    assert_eq!(
        see(&[("balcony", 2), ("main", 3)]),
        [of("ended", "main"), of("live", "main")]
    );
    assert_eq!(see(&[]), [of("ended", "balcony"), of("ended", "main")]);
    assert_eq!(see(&[]), []);
}
