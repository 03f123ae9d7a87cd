//! Roles at queues.

use std::collections::BTreeMap;

use interproc::queue::{Codec, Error, Options, Queue};
use serde::{Deserialize, Serialize};

use crate::{Outcome, say, wait_for_the_end};

/// All that serde's model has, more or less. JavaScript makes and checks the same.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    balance: i64,
    price: f64,
    paid: bool,
    note: Option<String>,
    items: Vec<Item>,
    by_day: BTreeMap<String, i32>,
    state: State,
    pair: (u8, String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    count: u16,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Sent { by: String },
}

impl Order {
    fn number(id: u64) -> Self {
        Self {
            id,
            balance: -(i64::try_from(id).unwrap_or(0)) * 1_000_000_007,
            price: 0.5 + f64::from(u32::try_from(id).unwrap_or(0)),
            paid: id.is_multiple_of(2),
            note: id.is_multiple_of(3).then(|| format!("Grüße, {id} 🎉")),
            items: (0..id % 4).map(|n| Item { name: format!("item {n}"), count: u16::MAX }).collect(),
            by_day: BTreeMap::from([("mon".to_owned(), -1), ("tue".to_owned(), 300)]),
            state: if id.is_multiple_of(2) { State::Open } else { State::Sent { by: "post".to_owned() } },
            pair: (7, "seven".to_owned()),
        }
    }
}

/// Sends orders, the even hundreds one by one.
pub(crate) fn produce(place: &str, codec: &str, count: u64) -> Outcome {
    let codec = if codec == "msgpack" { Codec::MessagePack } else { Codec::Json };
    let mut queue = Options::new().create(false).codec(codec).open(place)?;
    for begin in (0..count).step_by(100) {
        let orders = (begin..count.min(begin + 100)).map(Order::number);
        if begin / 100 % 2 == 1 {
            queue.send_many(orders)?;
        } else {
            for order in orders {
                queue.send(&order)?;
            }
        }
    }
    Ok(())
}

/// Receives orders from JavaScript, which must be those that `produce` makes.
pub(crate) fn consume(place: &str, count: u64) -> Outcome {
    let mut queue = Options::new().create(false).open(place)?;
    for (id, order) in (0..count).zip(queue.iter::<Order>()) {
        let order = order?;
        if order != Order::number(id) {
            return Err(format!("{order:?} is not order {id}").into());
        }
    }
    say(format_args!("{count} orders"));
    Ok(())
}

/// Has a message, and does not acknowledge it before its end.
pub(crate) fn hold(place: &str) -> Outcome {
    let mut queue = Options::new().create(false).ack(true).open(place)?;
    let message = queue.receive_message()?;
    say(format_args!("{} {}", message.decode::<String>()?, message.redelivered()));
    wait_for_the_end()
}

/// Passes messages on, and acknowledges each when that is done: none is lost, whenever this program is killed.
pub(crate) fn pass_on(from: &str, to: &str) -> Outcome {
    let mut from = Options::new().create(false).ack(true).open(from)?;
    let mut to = Options::new().create(false).open(to)?;
    loop {
        let message = from.receive_message()?;
        to.send(&message.decode::<serde_json::Value>()?)?;
        from.ack(message)?;
    }
}

/// Takes one message of a batch, and keeps none of the others.
pub(crate) fn take(place: &str) -> Outcome {
    let mut queue = Queue::open(place)?;
    say(queue.receive::<String>()?);
    wait_for_the_end()
}

/// Sends numbers until it is killed.
pub(crate) fn flood(place: &str) -> Outcome {
    let mut queue = Options::new().create(false).open(place)?;
    let mut next = 0_u64;
    loop {
        queue.send_many(next..next + 50)?;
        queue.send(&(next + 50))?;
        next += 51;
    }
}

/// Receives what it cannot read, and then what it can.
pub(crate) fn foreign(place: &str) -> Outcome {
    let mut queue = Options::new().create(false).open(place)?;
    match queue.receive::<serde_json::Value>() {
        Err(Error::Decode { why, message: Some(message) }) => {
            say(format_args!("{why} ({} bytes)", message.body().len()))
        }
        other => return Err(format!("{other:?}").into()),
    }
    say(queue.receive::<String>()?);
    Ok(())
}

/// Sends a message that is larger than the ring, and receives one.
pub(crate) fn large(place: &str, bytes: usize) -> Outcome {
    let mut queue = Options::new().create(false).open(place)?;
    let body = queue.receive_message()?.into_body();
    if body.len() != bytes || body.iter().any(|byte| *byte != 7) {
        return Err(format!("{} bytes came", body.len()).into());
    }
    drop(body);
    queue.send_bytes(&vec![8; bytes])?;
    Ok(())
}
