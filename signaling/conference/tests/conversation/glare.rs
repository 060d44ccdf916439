//! Who offers, and what becomes of crossing offers.

use conference::{ConnectionId, Input, News, Order, Refusal, SessionId};
use serde_json::{Value, json};

use crate::house::{Client, House, identity};

/// One participant, connected, and media that answers only when it is told to.
fn one() -> (House, Client, SessionId) {
    let mut house = House::new();
    let ada = house.join("Ada");
    let session = house.last_session();
    house.news(News::Connected { session });
    house.answers = false;
    house.take(ada);
    house.take_orders();
    (house, ada, session)
}

fn wanted(session: SessionId, video: usize) -> News {
    News::SlotsWanted {
        session,
        audio: 3,
        video,
    }
}

fn offered(session: SessionId) -> News {
    News::Offered {
        session,
        result: Ok(Some("slots".to_owned())),
    }
}

/// The step of a table: what happens.
enum Do {
    Want(usize),
    Offered,
    Offer(u64),
    Answered,
    Answer(u64),
    Taken,
}

/// What must follow from it, in a word each.
fn run(steps: Vec<(Do, &[&str])>) {
    let (mut house, ada, session) = one();
    let mut last_order = 0;
    for (index, (step, expected)) in steps.into_iter().enumerate() {
        match step {
            Do::Want(video) => house.news(wanted(session, video)),
            Do::Offered => house.news(offered(session)),
            Do::Offer(id) => house.say(ada, json!({"type": "offer", "id": id, "sdp": "mine"})),
            Do::Answered => house.news(News::Answered {
                session,
                id: last_order,
                result: Ok("yours".to_owned()),
            }),
            Do::Answer(id) => house.say(ada, json!({"type": "answer", "id": id, "sdp": "mine"})),
            Do::Taken => house.news(News::AnswerTaken {
                session,
                result: Ok(()),
            }),
        }
        let mut happened = Vec::new();
        for order in house.take_orders() {
            happened.push(match order {
                Order::AddSlots { video, .. } => format!("add {video}"),
                Order::Reoffer { id, .. } => {
                    last_order = id;
                    "reoffer".to_owned()
                }
                Order::Answer { .. } => "take".to_owned(),
                other => format!("{other:?}"),
            });
        }
        for message in house.take_json(ada) {
            let kind = message["type"].as_str().unwrap();
            happened.push(match kind {
                "offer" | "answer" => format!("{kind} {}", message["id"]),
                "error" => message["code"].as_str().unwrap().to_owned(),
                _ => continue,
            });
        }
        assert_eq!(happened, expected, "step {index}");
    }
}

#[test]
fn the_servers_offers_come_one_after_the_other() {
    run(vec![
        (Do::Want(4), &["add 4"]),
        (Do::Want(6), &[]),
        (Do::Want(5), &[]),
        (Do::Offered, &["offer 1"]),
        (Do::Want(9), &[]),
        (Do::Answer(1), &["take"]),
        (Do::Taken, &["add 9"]),
        (Do::Offered, &["offer 2"]),
        (Do::Answer(2), &["take"]),
        (Do::Taken, &[]),
    ]);
}

#[test]
fn a_clients_offer_waits_for_nothing() {
    run(vec![
        (Do::Offer(1), &["reoffer"]),
        (Do::Offer(2), &["conflict"]),
        (Do::Answered, &["answer 1"]),
        (Do::Offer(2), &["reoffer"]),
        (Do::Answered, &["answer 2"]),
    ]);
}

#[test]
fn a_servers_offer_that_crosses_a_clients_is_withdrawn_and_made_again() {
    // The client has it already.
    run(vec![
        (Do::Want(4), &["add 4"]),
        (Do::Offered, &["offer 1"]),
        (Do::Offer(1), &["reoffer"]),
        (Do::Want(7), &[]),
        (Do::Answered, &["add 7", "answer 1"]),
        (Do::Offered, &["offer 2"]),
        (Do::Answer(1), &["conflict"]),
        (Do::Answer(2), &["take"]),
        (Do::Taken, &[]),
    ]);
    // Media still makes it, and is done first.
    run(vec![
        (Do::Want(4), &["add 4"]),
        (Do::Offer(1), &["reoffer"]),
        (Do::Offered, &[]),
        (Do::Answered, &["add 4", "answer 1"]),
        (Do::Offered, &["offer 1"]),
        (Do::Answer(1), &["take"]),
        (Do::Taken, &[]),
    ]);
    // Media still makes it, and is done last.
    run(vec![
        (Do::Want(4), &["add 4"]),
        (Do::Offer(1), &["reoffer"]),
        (Do::Answered, &["answer 1"]),
        (Do::Offered, &["add 4"]),
        (Do::Offered, &["offer 1"]),
    ]);
}

#[test]
fn an_offer_that_was_answered_is_not_withdrawn() {
    run(vec![
        (Do::Want(4), &["add 4"]),
        (Do::Offered, &["offer 1"]),
        (Do::Answer(1), &["take"]),
        (Do::Offer(1), &["reoffer"]),
        (Do::Taken, &[]),
        (Do::Answered, &["answer 1"]),
        (Do::Want(4), &["add 4"]),
    ]);
}

#[test]
fn an_offer_that_fails_says_so_and_blocks_nothing() {
    let (mut house, ada, session) = one();
    house.say(ada, json!({"type": "offer", "id": 1, "sdp": "mine"}));
    let Some(Order::Reoffer { id, .. }) = house.take_orders().pop() else {
        panic!("no order");
    };
    house.news(wanted(session, 4));
    house.news(News::Answered {
        session,
        id,
        result: Err(Refusal::Malformed("line 3".to_owned())),
    });
    let error = house.last(ada, "error");
    assert_eq!(
        (&error["code"], &error["request"], &error["id"]),
        (&json!("malformed"), &json!("offer"), &json!(1))
    );
    assert!(matches!(house.take_orders()[..], [Order::AddSlots { .. }]));
    house.news(News::Offered {
        session,
        result: Err(Refusal::Gone),
    });
    house.news(wanted(session, 5));
    house.news(offered(session));
    house.say(ada, json!({"type": "answer", "id": 1, "sdp": "nonsense"}));
    house.news(News::AnswerTaken {
        session,
        result: Err(Refusal::NotAcceptable("no section".to_owned())),
    });
    let error = house.last(ada, "error");
    assert_eq!(
        (&error["code"], &error["request"], &error["id"]),
        (&json!("not_acceptable"), &json!("answer"), &json!(1))
    );
}

#[test]
fn an_offer_that_was_not_answered_before_the_websocket_broke_comes_again() {
    let (mut house, ada, session) = one();
    let again = back(&mut house, ada);
    assert_eq!(house.take_json(again)[0]["media"], "kept");
    house.news(wanted(session, 4));
    house.news(offered(session));
    assert_eq!(house.last(again, "offer")["id"], 1);
    let third = back(&mut house, again);
    assert_eq!(house.last(third, "offer")["id"], 1);
    house.say(third, json!({"type": "answer", "id": 1, "sdp": "mine"}));
    house.news(News::AnswerTaken {
        session,
        result: Ok(()),
    });

    // Nobody is asked who is not there; the wish waits.
    house.take_orders();
    house.hang_up(third);
    house.news(wanted(session, 9));
    assert_eq!(house.take_orders(), []);
    back(&mut house, third);
    assert!(matches!(
        house.take_orders()[..],
        [Order::AddSlots { video: 9, .. }]
    ));
}

#[test]
fn the_answer_to_an_offer_of_a_broken_websocket_reaches_nobody() {
    let (mut house, ada, session) = one();
    house.say(ada, json!({"type": "offer", "id": 1, "sdp": "mine"}));
    let again = back(&mut house, ada);
    house.say(
        again,
        json!({"type": "offer", "id": 1, "sdp": "mine again"}),
    );
    let ids: Vec<_> = (house.take_orders().iter())
        .filter_map(|order| match order {
            Order::Reoffer { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2);
    house.take(again);
    for (id, sdp) in ids.into_iter().zip(["old", "new"]) {
        house.news(News::Answered {
            session,
            id,
            result: Ok(sdp.to_owned()),
        });
    }
    let answers: Vec<Value> = (house.take_json(again).into_iter())
        .filter(|message| message["type"] == "answer")
        .collect();
    assert_eq!(answers, [json!({"type": "answer", "id": 1, "sdp": "new"})]);
}

/// Breaks the WebSocket and comes back with the secret.
fn back(house: &mut House, client: Client) -> Client {
    let resume = secret();
    house.input(Input::Closed {
        connection: ConnectionId(client),
    });
    let again = house.connect();
    house.say(
        again,
        json!({"type": "join", "version": 1, "name": "Ada", "identity": identity("Ada"), "resume": resume}),
    );
    again
}

/// The secret is the rest of the random input that the first connection came with.
fn secret() -> String {
    let mut random = [0_u8; 24];
    random[..8].copy_from_slice(&7919_u64.to_be_bytes());
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
