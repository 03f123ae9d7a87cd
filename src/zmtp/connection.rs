//! One connection: the state of our side.

use super::command::{self, Command};
use super::frame::Frame;
use super::handshake::{Handshake, Step};
use super::heartbeat::{Heartbeat, OUTBOX_LIMIT};
use super::mechanism::Mechanism;
use super::traffic::{Meaning, Next, Traffic};
use super::{Config, Flow, Peer, ProtocolError, Received, Sink};

/// Our side of one connection, from the greeting to the end. It owns no socket: give it what was read with
/// [`receive`](Self::receive), write what stands in its [`outbox`](Self::outbox), and call [`tick`](Self::tick) when
/// [`poll_timeout`](Self::poll_timeout) says so.
///
/// Times are milliseconds of any clock that does not run backwards, the same for all calls.
///
/// After the first error every `receive` and `tick` returns that error again.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    mechanism: Mechanism,
    traffic: Traffic,
    heartbeat: Heartbeat,
    outbox: Vec<u8>,
    peer: Option<Peer>,
}

#[derive(Debug)]
enum Phase {
    Handshake(Handshake),
    Traffic,
    Failed(ProtocolError),
}

impl Connection {
    /// A connection whose transport has just been made, on whichever side: our greeting stands in the outbox.
    #[must_use]
    pub fn new(config: &Config, now: u64) -> Self {
        let mechanism = Mechanism::new(&config.security);
        let mut outbox = Vec::new();
        let handshake = Handshake::start(config, now, &mechanism, &mut outbox);
        Self {
            phase: Phase::Handshake(handshake),
            mechanism,
            traffic: Traffic::new(config),
            heartbeat: Heartbeat::new(config),
            outbox,
            peer: None,
        }
    }

    /// Takes bytes of the peer and hands what they mean to `sink`, until they are used up or the sink says `Break`.
    ///
    /// `input` is what the last call left over, followed by what has been read since. Nothing of it is copied: whole
    /// frames go to the sink as slices of it, an unfinished one stays with the caller (see [`Received`]). The outbox may
    /// have grown afterwards. After a `Break`, silence of the peer is not held against it until the next call, as it
    /// cannot be heard; call again, with whatever is left, when the sink takes more.
    ///
    /// # Errors
    /// What the peer did wrong. Frames before that have been handed over. Write the outbox, then close.
    pub fn receive<S: Sink>(&mut self, input: &[u8], now: u64, sink: &mut S) -> Result<Received, ProtocolError> {
        self.heartbeat.heard(!input.is_empty());
        let result = self.advance(input, now, sink);
        if let Err(error) = &result {
            self.phase = Phase::Failed(error.clone());
        }
        result
    }

    /// When to call [`tick`](Self::tick), if not earlier; `None`: never, as things are. It may change with each `receive`
    /// and `tick`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.deadline(),
            Phase::Traffic => self.heartbeat.deadline(),
            Phase::Failed(_) => None,
        }
    }

    /// Does what the time asks for: puts a PING into the outbox, or gives up. Harmless when nothing is due.
    ///
    /// # Errors
    /// [`ProtocolError::HandshakeTimeout`], [`ProtocolError::HeartbeatTimeout`], [`ProtocolError::TimeToLiveExpired`].
    pub fn tick(&mut self, now: u64) -> Result<(), ProtocolError> {
        let result = match &self.phase {
            Phase::Handshake(handshake) => match handshake.deadline() {
                Some(deadline) if deadline <= now => Err(ProtocolError::HandshakeTimeout),
                _ => Ok(()),
            },
            Phase::Traffic => self.beat(now),
            Phase::Failed(error) => Err(error.clone()),
        };
        if let Err(error) = &result {
            self.phase = Phase::Failed(error.clone());
        }
        result
    }

    /// Bytes to write to the peer: greeting, commands. Take them out as they are written; they may stand between any two
    /// frames, but belong between messages.
    pub fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.outbox
    }

    /// The peer, once the handshake is over.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Whether frames stand on the wire as they are (NULL does that). If so, messages may be written without this
    /// connection: with [`encode_header`](super::encode_header) and `writev`, or encoded once by [`encode_message`](super::encode_message) for
    /// many peers. If not, every frame must go through [`encode`](Self::encode).
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.mechanism.is_transparent()
    }

    /// Appends a frame of a message to `out`. Only after [`Sink::ready`].
    #[inline]
    pub fn encode(&mut self, body: &[u8], more: bool, out: &mut Vec<u8>) {
        let frame = Frame { more, command: false, body };
        self.mechanism.seal(frame, out);
    }

    /// Appends a subscription to `out`, in the form that the peer knows: a command for 3.1, a message for 3.0. Only after
    /// [`Sink::ready`], and between messages.
    pub fn subscribe(&mut self, topic: &[u8], out: &mut Vec<u8>) {
        self.subscription(1, topic, out);
    }

    /// Appends the cancelling of a subscription to `out`, as [`subscribe`](Self::subscribe) does.
    pub fn cancel(&mut self, topic: &[u8], out: &mut Vec<u8>) {
        self.subscription(0, topic, out);
    }

    #[inline]
    fn advance<S: Sink>(&mut self, input: &[u8], now: u64, sink: &mut S) -> Result<Received, ProtocolError> {
        let mut consumed = 0;
        if !matches!(self.phase, Phase::Traffic) {
            let (done, flow) = match self.shake_hands(input, now, sink)? {
                Progress::Need(received) => return Ok(received),
                Progress::Ready(done, flow) => (done, flow),
            };
            consumed = done;
            if flow.is_break() {
                return Ok(self.stop(consumed));
            }
        }
        loop {
            let (frame, len) = match self.traffic.next(&input[consumed..])? {
                Next::Need(need) => return Ok(Received { consumed, need }),
                Next::Frame(frame, len) => (frame, len),
            };
            consumed += len;
            let frame = self.mechanism.open(frame)?;
            let flow = if frame.command {
                match Command::decode(frame.body)? {
                    Command::Subscribe(topic) if self.traffic.publishes() => sink.subscribe(topic),
                    Command::Cancel(topic) if self.traffic.publishes() => sink.cancel(topic),
                    Command::Ping { ttl, context } => {
                        self.heartbeat.ping(ttl, now);
                        let pong = command::pong(context);
                        self.send(&pong);
                        Flow::Continue(())
                    }
                    Command::Error(reason) => {
                        return Err(ProtocolError::PeerError(reason.into()));
                    }
                    Command::Subscribe(_) | Command::Cancel(_) | Command::Ignored => Flow::Continue(()),
                }
            } else {
                match self.traffic.part(frame) {
                    Meaning::Part => sink.frame(frame.body, frame.more),
                    Meaning::Subscribe(topic) => sink.subscribe(topic),
                    Meaning::Cancel(topic) => sink.cancel(topic),
                }
            };
            if flow.is_break() {
                return Ok(self.stop(consumed));
            }
        }
    }

    fn shake_hands<S: Sink>(&mut self, input: &[u8], now: u64, sink: &mut S) -> Result<Progress, ProtocolError> {
        let mut consumed = 0;
        loop {
            let handshake = match &mut self.phase {
                Phase::Handshake(handshake) => handshake,
                Phase::Failed(error) => return Err(error.clone()),
                Phase::Traffic => return Ok(Progress::Ready(consumed, Flow::Continue(()))),
            };
            let rest = &input[consumed..];
            match handshake.step(rest, &mut self.mechanism, &mut self.outbox)? {
                Step::Need(need) => return Ok(Progress::Need(Received { consumed, need })),
                Step::Done(done) => consumed += done,
                Step::Ready(done, peer) => {
                    self.phase = Phase::Traffic;
                    self.heartbeat.start(peer.is_3_1(), now);
                    let flow = sink.ready(self.peer.insert(peer));
                    return Ok(Progress::Ready(consumed + done, flow));
                }
            }
        }
    }

    /// The sink takes no more for now.
    fn stop(&mut self, consumed: usize) -> Received {
        self.heartbeat.pause();
        Received { consumed, need: 0 }
    }

    fn beat(&mut self, now: u64) -> Result<(), ProtocolError> {
        if let Some(ttl) = self.heartbeat.tick(now)? {
            self.send(&command::ping(ttl));
        }
        Ok(())
    }

    /// Puts a PING or PONG into the outbox, unless the peer does not read what is there already.
    fn send(&mut self, body: &[u8]) {
        if self.outbox.len() <= OUTBOX_LIMIT {
            self.mechanism.seal(Frame::command(body), &mut self.outbox);
        }
    }

    fn subscription(&mut self, kind: u8, topic: &[u8], out: &mut Vec<u8>) {
        let is_3_1 = self.peer.as_ref().is_some_and(Peer::is_3_1);
        if is_3_1 {
            let body = match kind {
                1 => command::subscribe(topic),
                _ => command::cancel(topic),
            };
            self.mechanism.seal(Frame::command(&body), out);
        } else {
            self.encode(&[&[kind], topic].concat(), false, out);
        }
    }
}

/// How far the handshake got.
enum Progress {
    Need(Received),
    Ready(usize, Flow),
}
