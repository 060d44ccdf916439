use super::*;

fn stock() -> CryptoProvider {
    str0m::crypto::from_feature_flags()
}

/// Pairs of client and server.
fn pairs() -> [(&'static str, [CryptoProvider; 2]); 3] {
    [
        ("ours with ours", [crypto_provider(), crypto_provider()]),
        ("our client with dimpl", [crypto_provider(), stock()]),
        ("dimpl with our server", [stock(), crypto_provider()]),
    ]
}

fn check(
    label: &str,
    [client, server]: &[CryptoProvider; 2],
    is_lost: impl FnMut(u64, &[u8]) -> bool + 'static,
) -> Duration {
    let mut pair = Pair::new([client, server]).losing(is_lost);
    let result = pair.run(Pair::is_connected);
    assert!(
        pair.is_connected(),
        "{label}: {result:?} after {:?}",
        pair.elapsed()
    );
    let elapsed = pair.elapsed();
    // The keys work, whatever was repeated.
    pair.is_lost = Box::new(|_, _| false);
    for end in &mut pair.ends {
        assert_eq!(end.dtls.send_application_data(b"hello").unwrap(), 5);
    }
    pair.settle();
    for end in &pair.ends {
        assert_eq!(end.data(), [b"hello"], "{label}");
    }
    elapsed
}

#[test]
fn we_connect_with_ourselves_and_with_dimpl_in_both_roles() {
    for (label, providers) in &pairs() {
        let elapsed = check(label, providers, |_, _| false);
        assert!(elapsed <= DELAY * 4, "{label}: {elapsed:?}");
    }
}

#[test]
fn handshakes_survive_the_loss_of_any_single_datagram() {
    for (label, providers) in &pairs() {
        for lost in 0..8 {
            let label = format!("{label}, losing datagram {lost}");
            let elapsed = check(&label, providers, move |number, _| number == lost);
            assert!(elapsed < Duration::from_secs(3), "{label}: {elapsed:?}");
        }
    }
}

#[test]
fn handshakes_survive_the_loss_of_every_nth_datagram() {
    for (label, providers) in &pairs() {
        // Not 2 and 3: whoever repeats a flight of as many datagrams would lose the same one for ever.
        for n in [4, 5, 6, 7, 9, 11] {
            for offset in 0..n {
                let label = format!("{label}, losing every {n}th from {offset}");
                check(&label, providers, move |number, _| number % n == offset);
            }
        }
    }
}

#[test]
fn our_handshakes_survive_a_third_of_random_loss() {
    let providers = [crypto_provider(), crypto_provider()];
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        check(&format!("seed {seed}"), &providers, move |_, _| {
            rng.u8(..) < 85
        });
    }
}

#[test]
fn a_repeated_flight_costs_one_short_wait() {
    let providers = [crypto_provider(), crypto_provider()];
    let elapsed = check("first datagram lost", &providers, |number, _| number == 0);
    assert_eq!(elapsed, Duration::from_millis(50) + DELAY * 4);
}

#[test]
fn a_silent_peer_is_given_up_after_30_s() {
    let provider = crypto_provider();
    let mut pair = Pair::new([&provider, &provider]).losing(|_, _| true);
    let error = pair.run(Pair::is_connected).unwrap_err();
    assert!(matches!(error, DtlsImplError::Timeout(_)), "{error:?}");
    assert_eq!(pair.elapsed(), Duration::from_secs(30));
    assert_eq!(pair.sent, 20);
    pair.client().drain();
    assert!(pair.ends[0].deadline > pair.now + Duration::from_secs(3600));
}

#[test]
fn datagrams_in_any_order_and_twice_still_connect() {
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..50 {
        let mut pair = Pair::ours();
        for _ in 0..2000 {
            pair.collect().unwrap();
            if pair.is_connected() {
                break;
            }
            let wire = pair.wire.make_contiguous();
            rng.shuffle(wire);
            if let Some((_, to, datagram)) = pair.wire.pop_front() {
                pair.ends[to].dtls.handle_packet(&datagram).unwrap();
                if rng.bool() {
                    pair.ends[to].dtls.handle_packet(&datagram).unwrap();
                }
            } else {
                pair.now += Duration::from_millis(50);
            }
        }
        assert!(pair.is_connected(), "round {round}");
    }
}
