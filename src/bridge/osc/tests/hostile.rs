//! Datagrams that want to hurt. Each must be refused, or understood, within a small stack.

use rosc::OscType;

use super::super::packet::{Fault, decode, split};
use super::{bundle, encode, message, padded};

/// On a stack as small as a frugal thread's: what recursed with the datagram's depth would end the test run.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let builder = std::thread::Builder::new().stack_size(128 * 1024);
    builder.spawn(work).unwrap().join().unwrap()
}

fn nested(depth: usize, inner: &[u8]) -> Vec<u8> {
    let mut datagram = inner.to_vec();
    for _ in 0..depth {
        let length = u32::try_from(datagram.len()).unwrap();
        let mut outer = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        outer.extend(length.to_be_bytes());
        outer.extend(datagram);
        datagram = outer;
    }
    datagram
}

#[test]
fn bundles_nest_eight_deep_and_no_deeper() {
    let inner = encode(&message("/proscenium/a/b", vec![]));
    assert_eq!(split(&nested(8, &inner)).unwrap(), [(None, &inner[..])]);
    assert_eq!(split(&nested(9, &inner)), Err(Fault::TooMuch));
    let deepest = nested(3_000, &inner);
    assert!(deepest.len() < 65_507, "one datagram");
    assert_eq!(
        on_a_small_stack(move || split(&deepest).map(drop)),
        Err(Fault::TooMuch)
    );
}

#[test]
fn arrays_nest_eight_deep_and_no_deeper() {
    let tags = |depth: usize| {
        let mut bytes = padded(b"/proscenium/a/b");
        let tags = format!(",{}{}", "[".repeat(depth), "]".repeat(depth));
        bytes.extend(padded(tags.as_bytes()));
        bytes
    };
    assert!(decode(&tags(8)).is_ok());
    assert_eq!(decode(&tags(9)), Err(Fault::TooMuch));
    let deepest = tags(30_000);
    assert_eq!(
        on_a_small_stack(move || decode(&deepest).map(drop)),
        Err(Fault::TooMuch)
    );
    for unbalanced in [",[", ",]", ",][", ",[[]"] {
        let mut bytes = padded(b"/proscenium/a/b");
        bytes.extend(padded(unbalanced.as_bytes()));
        assert_eq!(decode(&bytes), Err(Fault::Malformed), "{unbalanced}");
    }
}

#[test]
fn as_many_messages_and_arguments_as_allowed_are_taken_and_one_more_is_not() {
    let many = |count: usize| {
        let content = vec![message("/proscenium/a/b", vec![]); count];
        encode(&bundle(0, 1, content))
    };
    assert_eq!(split(&many(512)).unwrap().len(), 512);
    assert_eq!(split(&many(513)), Err(Fault::TooMuch));
    let wide = |count: usize| encode(&message("/proscenium/a/b", vec![OscType::Nil; count]));
    assert_eq!(decode(&wide(512)).unwrap().args.len(), 512);
    assert_eq!(decode(&wide(513)), Err(Fault::TooMuch));
    let long = |length: usize| encode(&message(&format!("/{}", "x".repeat(length - 1)), vec![]));
    assert!(decode(&long(512)).is_ok());
    assert_eq!(decode(&long(513)), Err(Fault::TooMuch));
}

#[test]
fn what_is_cut_off_or_lies_about_its_length_is_refused() {
    let whole = encode(&bundle(
        0,
        1,
        vec![message(
            "/proscenium/a/b",
            vec![OscType::String("text".into()), OscType::Blob(vec![1, 2, 3])],
        )],
    ));
    let read = |datagram: &[u8]| -> Result<usize, Fault> {
        let messages = split(datagram)?;
        let decoded: Result<Vec<_>, _> = messages.iter().map(|(_, one)| decode(one)).collect();
        Ok(decoded?.len())
    };
    assert_eq!(read(&whole), Ok(1));
    for end in 1..whole.len() {
        let empty_bundle = end == 16;
        assert_eq!(read(&whole[..end]).is_ok(), empty_bundle, "cut at {end}");
    }
    for (place, lie) in [(16, 0xff), (17, 0xff), (19, 0), (19, 1), (19, 4)] {
        let mut lying = whole.clone();
        lying[place] = lie;
        assert!(read(&lying).is_err(), "byte {place} is {lie}");
    }
    let mut blob = padded(b"/proscenium/a/b");
    blob.extend(padded(b",b"));
    blob.extend(u32::MAX.to_be_bytes());
    assert_eq!(
        decode(&blob),
        Err(Fault::Malformed),
        "4 GB that are not there"
    );
}

#[test]
fn what_is_no_osc_is_refused() {
    let check = |bytes: &[u8], expected: Fault| {
        let found = split(bytes).and_then(|messages| {
            messages
                .into_iter()
                .try_for_each(|(_, one)| decode(one).map(drop))
        });
        assert_eq!(found, Err(expected), "{:?}", String::from_utf8_lossy(bytes));
    };
    check(b"", Fault::Malformed);
    check(b"\0\0\0\0", Fault::Malformed);
    check(b"GET / HTTP/1.1\r\n\r\n\0\0", Fault::Malformed);
    check(b"/abc", Fault::Malformed);
    check(b"#bundle\0", Fault::Malformed);
    check(b"#bundles\0\0\0\0", Fault::Malformed);
    check(&padded(b"/\xff\xfe"), Fault::Malformed);
    check(&padded("/grün".as_bytes()), Fault::Malformed);
    let with = |tags: &[u8], data: &[u8]| [padded(b"/a"), padded(tags), data.to_vec()].concat();
    check(&with(b",s", &padded(b"\xff\xfe")), Fault::Malformed);
    check(&with(b",?", b""), Fault::Malformed);
    check(&with(b"i", &[0; 4]), Fault::Malformed);
    check(&with(b",i", b""), Fault::Malformed);
    check(&with(b",i", &[0; 8]), Fault::Malformed);
    check(&with(b",c", &u32::MAX.to_be_bytes()), Fault::Malformed);
}

#[test]
fn a_message_without_type_tags_has_no_arguments() {
    assert_eq!(decode(&padded(b"/proscenium/a/GO")).unwrap().args, []);
}

#[test]
fn no_bytes_at_all_make_it_panic() {
    let seed = 0x05c_b01d;
    let mut rng = fastrand::Rng::with_seed(seed);
    let valid = encode(&bundle(
        1,
        2,
        vec![
            message(
                "/proscenium/a/b",
                vec![OscType::Int(1), OscType::Blob(vec![0; 9])],
            ),
            bundle(
                0,
                1,
                vec![message(
                    "/proscenium/{a,b}/c",
                    vec![OscType::Float(f32::NAN)],
                )],
            ),
        ],
    ));
    for round in 0..20_000 {
        let mut datagram = valid.clone();
        for _ in 0..rng.usize(1..6) {
            let place = rng.usize(..datagram.len());
            datagram[place] = rng.u8(..);
        }
        datagram.truncate(rng.usize(..=datagram.len()));
        let split = split(&datagram);
        for (_, one) in split.into_iter().flatten() {
            if let Ok(decoded) = decode(one) {
                assert!(decoded.addr.starts_with('/'), "seed {seed}, round {round}");
            }
        }
    }
}
