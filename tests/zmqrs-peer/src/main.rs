//! One socket of zmq.rs: `zmqrs-peer TYPE bind|connect ADDRESS`. Prints `ready ADDRESS`, then `got PART|PART` per message;
//! each line of its stdin is sent, its parts cut at `|`. REP answers by itself: with what it was asked.

use tokio::io::{AsyncBufReadExt, BufReader};
use zeromq::prelude::*;
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket, SubSocket, ZmqError,
    ZmqMessage, ZmqResult,
};

fn parts(message: &ZmqMessage) -> String {
    message.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join("|")
}

fn message(line: &str) -> ZmqMessage {
    let mut parts = line.split('|').map(|part| part.as_bytes().to_vec());
    let mut message = ZmqMessage::from(parts.next().unwrap_or_default());
    for part in parts {
        message.push_back(part.into());
    }
    message
}

async fn open(socket: &mut impl Socket, how: &str, address: &str) -> ZmqResult<()> {
    if how == "bind" {
        println!("ready {}", socket.bind(address).await?);
    } else {
        socket.connect(address).await?;
        println!("ready {address}");
    }
    Ok(())
}

async fn receive(socket: &mut impl SocketRecv) -> ZmqResult<()> {
    loop {
        println!("got {}", parts(&socket.recv().await?));
    }
}

async fn send(socket: &mut impl SocketSend) -> ZmqResult<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match socket.send(message(&line)).await {
            // Nobody is connected yet; the test sends again.
            Ok(()) | Err(ZmqError::ReturnToSender { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends a line, waits for the answer, and so on.
async fn ask(socket: &mut (impl SocketSend + SocketRecv)) -> ZmqResult<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        socket.send(message(&line)).await?;
        println!("got {}", parts(&socket.recv().await?));
    }
    Ok(())
}

/// Sends back what it gets.
async fn echo(socket: &mut (impl SocketSend + SocketRecv)) -> ZmqResult<()> {
    loop {
        let message = socket.recv().await?;
        println!("got {}", parts(&message));
        socket.send(message).await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ZmqResult<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kind, how, address] = &arguments[..] else { panic!("usage: zmqrs-peer TYPE bind|connect ADDRESS") };
    macro_rules! run {
        ($kind:ty, $act:expr) => {{
            let mut socket = <$kind>::new();
            open(&mut socket, how, address).await?;
            $act(&mut socket).await
        }};
    }
    match kind.as_str() {
        "Push" => run!(PushSocket, send),
        "Pull" => run!(PullSocket, receive),
        "Publisher" => run!(PubSocket, send),
        "Request" => run!(ReqSocket, ask),
        "Reply" => run!(RepSocket, echo),
        "Dealer" => run!(DealerSocket, ask),
        "Router" => run!(RouterSocket, echo),
        "Subscriber" => {
            let mut socket = SubSocket::new();
            socket.subscribe("").await?;
            open(&mut socket, how, address).await?;
            receive(&mut socket).await
        }
        other => panic!("no such type: {other}"),
    }
}
