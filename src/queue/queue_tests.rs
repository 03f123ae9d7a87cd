//! The queue with values: see `tests.rs` for what lies beneath.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Codec, DecodeError, Error, Options, Queue, Tag};

const SOON: Duration = Duration::from_millis(50);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    file: String,
    to: u32,
    ratio: Option<f64>,
}

fn job(number: u32) -> Job {
    Job { file: format!("{number}.jpg"), to: number, ratio: None }
}

/// Two handles of one queue.
fn pair(options: &Options) -> (Queue, Queue) {
    let one = options.create_unnamed().unwrap();
    let other = Options::new().create(false).open(&one.ticket().unwrap()).unwrap();
    (one, other)
}

#[test]
fn values_keep_their_order_and_the_rest_of_a_batch_stays_in_the_queue() {
    for codec in [Codec::Json, Codec::MessagePack] {
        let (mut sender, mut receiver) = pair(&Options::new().codec(codec));
        let mut third = Queue::open(&sender.ticket().unwrap()).unwrap();
        assert_eq!(receiver.codec(), codec);
        sender.send_many((0..200).map(job)).unwrap();
        for number in 0..20 {
            let from = if number % 2 == 0 { &mut receiver } else { &mut third };
            assert_eq!(from.receive::<Job>().unwrap(), job(number));
        }
        assert_eq!(receiver.receive_many::<Job>(30).unwrap(), (20..50).map(job).collect::<Vec<_>>());
        let mut next = 50;
        while next < 200 {
            for found in third.receive_many::<Job>(1000).unwrap() {
                assert_eq!(found, job(next));
                next += 1;
            }
        }
        assert_eq!(receiver.try_receive::<Job>().unwrap(), None);
        assert_eq!(receiver.stats().used, 0);
    }
}

#[test]
fn one_queue_holds_all_sorts_of_bodies() {
    let (mut sender, mut receiver) = pair(&Options::new());
    let mut packer = Options::new().codec(Codec::MessagePack).open(&sender.ticket().unwrap()).unwrap();
    sender.send(&json!({ "a": 1 })).unwrap();
    packer.send(&json!({ "a": 2 })).unwrap();
    sender.send_text("three").unwrap();
    sender.send_bytes(&[4]).unwrap();
    assert_eq!(receiver.receive::<Value>().unwrap(), json!({ "a": 1 }));
    assert_eq!(receiver.receive::<Value>().unwrap(), json!({ "a": 2 }));
    assert_eq!(receiver.receive::<String>().unwrap(), "three");
    assert_eq!(receiver.receive::<Vec<u8>>().unwrap(), [4]);
}

#[test]
fn full_and_empty_are_told_or_waited_for() {
    let (mut sender, mut receiver) = pair(&Options::new().capacity(512));
    let mut count = 0;
    while sender.try_send(&job(count)).unwrap() {
        count += 1;
    }
    assert!(count > 0);
    assert!(!sender.send_timeout(&job(count), SOON).unwrap());
    for number in 0..count {
        assert_eq!(receiver.receive_timeout::<Job>(SOON).unwrap(), Some(job(number)));
    }
    assert_eq!(receiver.receive_timeout::<Job>(SOON).unwrap(), None);
    let thread = std::thread::spawn(move || sender.send_many((0..500).map(job)).unwrap());
    for (number, found) in receiver.iter::<Job>().take(500).enumerate() {
        assert_eq!(usize::try_from(found.unwrap().to).unwrap(), number);
    }
    thread.join().unwrap();
}

#[test]
fn large_values_go_beside_the_ring() {
    let (mut sender, mut receiver) = pair(&Options::new().capacity(4096));
    let text = "x".repeat(100_000);
    let values = [text.clone(), "small".to_owned(), text.clone()];
    sender.send_many(&values).unwrap();
    sender.send(&text).unwrap();
    sender.send_bytes(text.as_bytes()).unwrap();
    assert_eq!(receiver.receive_many::<String>(2).unwrap(), values[..2]);
    assert_eq!(receiver.receive::<String>().unwrap(), text);
    let message = receiver.receive_message().unwrap();
    assert_eq!((message.tag(), message.body().len()), (Tag::Json, text.len() + 2));
    let body = receiver.receive_message().unwrap().into_body();
    drop((sender, receiver));
    assert_eq!(Vec::from(body), text.as_bytes());
}

#[test]
fn acknowledgement() {
    let (mut sender, mut receiver) = pair(&Options::new().ack(true));
    let ticket = sender.ticket().unwrap();
    assert!(matches!(Options::new().ack(false).open(&ticket), Err(Error::AckDiffers { acknowledged: true })));
    sender.send_many(["a", "b"]).unwrap();
    assert!(matches!(receiver.receive::<String>(), Err(Error::NeedsAck)));
    let (a, b) = (receiver.receive_message().unwrap(), receiver.receive_message().unwrap());
    assert_eq!((a.decode::<String>().unwrap(), a.redelivered()), ("a".to_owned(), false));
    assert!(receiver.ack(a).unwrap());
    assert!(receiver.release(b).unwrap());
    let b = receiver.receive_message().unwrap();
    assert!(b.redelivered());
    drop(receiver);
    let again = sender.receive_message_timeout(SOON).unwrap().unwrap();
    assert_eq!((again.decode::<String>().unwrap(), again.redelivered()), ("b".to_owned(), true));
    assert!(sender.ack(again).unwrap());
    assert!(!sender.ack(b).unwrap(), "it is dealt with");
    assert_eq!(sender.stats().used, 0);
}

#[test]
fn what_cannot_be_decoded_is_told_and_kept() {
    let (mut sender, mut receiver) = pair(&Options::new());
    sender.send(&1).unwrap();
    sender.send("text").unwrap();
    sender.send(&3).unwrap();
    assert_eq!(receiver.receive_many::<u32>(9).unwrap(), [1]);
    let Err(Error::Decode { why: DecodeError::Json(_), message: Some(message) }) = receiver.receive::<u32>() else {
        panic!("a text is no number");
    };
    assert_eq!(message.decode::<String>().unwrap(), "text");
    assert_eq!(receiver.receive::<u32>().unwrap(), 3);
    // What has no JSON is not sent.
    let keys = std::collections::HashMap::from([(vec![1], 1)]);
    assert!(matches!(sender.send(&keys), Err(Error::Encode(_))));
    assert_eq!(receiver.try_receive::<Value>().unwrap(), None);
}

#[test]
fn queues_in_files() {
    let path =
        std::env::temp_dir().join(format!("interproc-rust-{}-{:?}", std::process::id(), std::thread::current().id()));
    let mut queue = Options::new().open_file(&path).unwrap();
    queue.send_many((0..70).map(job)).unwrap();
    assert_eq!(queue.receive::<Job>().unwrap(), job(0));
    drop(queue);
    let mut queue = Options::new().create(false).open_file(&path).unwrap();
    assert_eq!(queue.receive_many::<Job>(2).unwrap(), [job(1), job(2)]);
    drop(queue);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn on_a_runtime_of_tokio() {
    fn goes<T: Send>(future: T) -> T {
        future
    }
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut sender, mut receiver) = pair(&Options::new().capacity(512));
    runtime.block_on(async {
        // Given up: nothing is received by it, and nobody thinks that it waits.
        assert!(::tokio::time::timeout(SOON, receiver.receive_async::<Job>()).await.is_err());
        let sending = goes(async {
            for number in 0..300 {
                sender.send_async(&job(number)).await.unwrap();
            }
        });
        let receiving = goes(async {
            for number in 0..300 {
                assert_eq!(receiver.receive_async::<Job>().await.unwrap(), job(number));
            }
        });
        ::tokio::join!(sending, receiving);
    });
    // From a thread that is not on the runtime, and to one.
    let thread = std::thread::spawn(move || {
        std::thread::sleep(SOON);
        sender.send("from a thread").unwrap();
        sender
    });
    let text = runtime.block_on(async { receiver.receive_message_async().await.unwrap().decode::<String>().unwrap() });
    assert_eq!(text, "from a thread");
    let mut sender = thread.join().unwrap();
    // The same handle waits either way.
    sender.send("again").unwrap();
    assert_eq!(receiver.receive_timeout::<String>(SOON).unwrap().as_deref(), Some("again"));
}

#[test]
fn handles_and_errors_go_to_other_threads() {
    fn goes<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    goes::<Queue>();
    is_shared::<Error>();
}

#[test]
fn a_queue_that_is_not_there_is_an_error() {
    let error = Options::new().create(false).open("no such queue of these tests").unwrap_err();
    assert!(matches!(error, Error::Open(_)));
    assert!(matches!(Queue::open(""), Err(Error::Open(_))));
    assert!(matches!(Queue::open("interproc:nonsense"), Err(Error::Open(_))));
}
