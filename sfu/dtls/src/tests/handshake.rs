use super::*;

#[test]
fn a_handshake_takes_two_round_trips_and_six_datagrams() {
    let pair = Pair::ours().connect();
    assert_eq!(pair.elapsed(), DELAY * 4);
    assert!(pair.sent <= 6, "{} datagrams", pair.sent);
}

#[test]
fn both_ends_report_certificate_then_connection_then_keys_for_gcm_128() {
    let mut pair = Pair::ours().connect();
    let certificates = [0, 1].map(|end: usize| pair.ends[end].certificate.clone());
    for (end, theirs) in [(0, &certificates[1]), (1, &certificates[0])] {
        let end = &mut pair.ends[end];
        let [
            Seen::Certificate(der),
            Seen::Connected,
            Seen::Keys(key, profile),
        ] = &end.seen[..]
        else {
            panic!("{:?}", end.seen);
        };
        assert_eq!(der, theirs);
        assert_eq!(key.len(), 2 * (16 + 12));
        assert_eq!(*profile, SrtpProfile::AEAD_AES_128_GCM);
        assert!(end.dtls.protocol_version().is_some());
    }
}

#[test]
fn data_flows_both_ways_with_its_boundaries() {
    let mut pair = Pair::ours().connect();
    let long = vec![7; 1000];
    for end in &mut pair.ends {
        assert_eq!(end.dtls.send_application_data(b"one").unwrap(), 3);
        assert_eq!(end.dtls.send_application_data(&long).unwrap(), 1000);
        assert_eq!(end.dtls.send_application_data(b"").unwrap(), 0);
    }
    pair.settle();
    for end in &pair.ends {
        assert_eq!(end.data(), [b"one".as_slice(), &long]);
    }
}

#[test]
fn data_is_not_accepted_before_the_connection() {
    for is_client in [true, false] {
        let mut end = End::ours(is_client);
        assert_eq!(end.dtls.send_application_data(b"too early").unwrap(), 0);
        assert_eq!(end.dtls.protocol_version(), None);
    }
}

#[test]
fn an_idle_server_asks_for_no_timeout_and_a_connected_one_neither() {
    let mut server = End::ours(false);
    server.drain();
    assert!(server.deadline > start() + Duration::from_secs(3600));
    let pair = Pair::ours().connect();
    for end in &pair.ends {
        assert!(end.deadline > pair.now + Duration::from_secs(3600));
    }
}

#[test]
fn packets_and_timeouts_before_the_role_is_known_do_nothing() {
    let cert = generate_certificate().unwrap();
    let mut dtls = crypto_provider()
        .dtls_provider
        .new_dtls(&cert, start(), DtlsVersion::Dtls12, None)
        .unwrap();
    dtls.handle_packet(&[22; 100]).unwrap();
    dtls.handle_timeout(start()).unwrap();
    assert!(!dtls.is_active() && !dtls.is_closing() && !dtls.is_closed());
}

#[test]
fn a_buffer_that_is_too_small_loses_nothing() {
    let mut client = End::ours(true);
    let DtlsOutput::BufferTooSmall { needed } = client.dtls.poll_output(&mut [0; 10]) else {
        panic!("no ClientHello");
    };
    let mut buf = vec![0; needed];
    let output = client.dtls.poll_output(&mut buf);
    assert!(matches!(output, DtlsOutput::Packet(p) if p.len() == needed));
}

#[test]
fn a_certificate_can_be_used_from_several_threads_and_evicted() {
    let certs: Vec<_> = (0..6).map(|_| generate_certificate().unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for cert in certs.iter().chain(&certs) {
                    End::with(&crypto_provider(), cert, true, start());
                }
            });
        }
    });
}

#[test]
fn a_certificate_without_its_key_is_refused_with_a_reason() {
    let mut cert = generate_certificate().unwrap();
    cert.private_key = generate_certificate().unwrap().private_key;
    let provider = crypto_provider().dtls_provider;
    let refused = provider.new_dtls(&cert, start(), DtlsVersion::Dtls12, None);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("key values mismatch"), "{text}");
    let refused = provider.new_dtls(&cert, start(), DtlsVersion::Dtls13, None);
    assert!(refused.unwrap_err().to_string().contains("1.3"));
}
