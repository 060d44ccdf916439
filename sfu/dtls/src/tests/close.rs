use super::*;

#[test]
fn a_closed_end_says_so_and_the_other_answers_and_reports_it() {
    for closer in [0, 1] {
        let mut pair = Pair::ours().connect();
        pair.ends[closer].dtls.close().unwrap();
        assert!(pair.ends[closer].dtls.is_closing() && !pair.ends[closer].dtls.is_closed());
        let goodbye = pair.ends[closer].drain();
        assert_eq!(goodbye.len(), 1);
        assert!(pair.ends[closer].dtls.is_closed() && !pair.ends[closer].dtls.is_closing());

        let other = &mut pair.ends[1 - closer];
        // What was not sent before the good-bye is discarded.
        other.dtls.send_application_data(b"too late").unwrap();
        other.dtls.handle_packet(&goodbye[0]).unwrap();
        assert!(other.dtls.is_closing());
        assert!(other.dtls.send_application_data(b"no").is_err());
        assert_eq!(other.drain().len(), 1, "the answering close_notify");
        assert_eq!(other.seen.last(), Some(&Seen::CloseNotify));
        assert!(other.dtls.is_closed());
        assert!(pair.ends[closer].dtls.send_application_data(b"no").is_err());
    }
}

#[test]
fn a_good_bye_crosses_to_and_from_dimpl() {
    let stock = str0m::crypto::from_feature_flags();
    let ours = crypto_provider();
    for providers in [[&stock, &ours], [&ours, &stock]] {
        for closer in [0, 1] {
            let mut pair = Pair::new(providers).connect();
            pair.ends[closer].dtls.close().unwrap();
            pair.settle();
            assert!(pair.ends[1 - closer].seen.contains(&Seen::CloseNotify));
            assert!(pair.ends.iter().all(|end| end.dtls.is_closed()));
        }
    }
}

#[test]
fn data_before_a_good_bye_arrives_and_data_after_it_does_not() {
    let mut pair = Pair::ours().connect();
    let client = pair.client();
    client.dtls.send_application_data(b"last words").unwrap();
    client.dtls.close().unwrap();
    let datagrams = client.drain();
    assert_eq!(datagrams.len(), 2);
    for datagram in datagrams.iter().chain(&datagrams) {
        pair.server().dtls.handle_packet(datagram).unwrap();
    }
    pair.server().drain();
    assert_eq!(pair.ends[1].data(), [b"last words"]);
    assert_eq!(pair.ends[1].seen.last(), Some(&Seen::CloseNotify));
}

#[test]
fn closing_during_the_handshake_is_silent_and_at_once() {
    let mut pair = Pair::ours();
    let hello = pair.client().drain();
    for datagram in &hello {
        pair.server().dtls.handle_packet(datagram).unwrap();
    }
    for end in &mut pair.ends {
        end.dtls.close().unwrap();
        end.dtls.close().unwrap();
        assert!(end.dtls.is_closed());
        assert!(end.drain().is_empty());
        end.dtls.handle_packet(&hello[0]).unwrap();
        end.dtls
            .handle_timeout(start() + Duration::from_secs(60))
            .unwrap();
        assert!(end.drain().is_empty());
    }
}

#[test]
fn closing_before_the_role_is_known_closes() {
    let cert = generate_certificate().unwrap();
    let provider = crypto_provider().dtls_provider;
    let mut dtls = provider
        .new_dtls(&cert, start(), DtlsVersion::Dtls12, None)
        .unwrap();
    dtls.close().unwrap();
    assert!(dtls.is_closed());
}
