//! Readings of a thermometer, from Rust to Node: `node examples/rust-producer/consumer.js`, and in another terminal
//! `cargo run --example rust-producer --no-default-features`.

#![expect(clippy::print_stdout, reason = "a program that shows what it does")]

use interproc::queue::{Codec, Options};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Reading {
    sensor: &'static str,
    number: u32,
    celsius: f64,
}

/// What the consumer answers when it has all.
#[derive(Deserialize)]
struct Summary {
    count: u32,
    mean: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1).unwrap_or_else(|| "7004".to_owned());
    // The consumer made both; either side may, `create(false)` only says who comes first here.
    let there = Options::new().create(false);
    let mut readings = there.clone().codec(Codec::MessagePack).open(&format!("readings {id}"))?;
    let mut answers = there.open(&format!("answers {id}"))?;

    for (number, celsius) in (1..).zip([20.5, 21.0, 21.5, 22.0, 22.5]) {
        readings.send(&Reading { sensor: "roof", number, celsius })?;
    }
    readings.send_text("that is all")?;

    let Summary { count, mean } = answers.receive()?;
    println!("{count} readings went from Rust to Node, {mean} °C on average");
    Ok(())
}
