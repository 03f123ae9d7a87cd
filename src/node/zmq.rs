//! The classes under `lib/zeromq/`: a context, and a socket whose messages cross in runs.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::{Env, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::EnvState;
use super::slab::write;
use crate::reactor::Hold;
use crate::zmq::{Context, Error, Event, Frames, Handler, Options, Socket};
use crate::zmtp::SocketType;

/// Sockets of one context reach each other by `inproc://`, on any thread.
#[napi]
#[derive(Debug)]
pub struct ZmqContext {
    context: Arc<Context>,
}

#[napi]
impl ZmqContext {
    /// `shared`: the one of the whole process.
    #[napi(constructor, catch_unwind)]
    pub fn new(shared: bool) -> Self {
        Self { context: if shared { Context::global() } else { Context::new() } }
    }

    /// How many sockets may be open at once.
    #[napi(catch_unwind)]
    pub fn set_max_sockets(&self, count: u32) {
        self.context.set_max_sockets(count as usize);
    }

    /// Keeps an option for all threads.
    #[napi(catch_unwind)]
    pub fn set_value(&self, option: u32, value: i32) {
        self.context.set_value(option, value);
    }

    /// What was kept.
    #[napi(catch_unwind)]
    pub fn value(&self, option: u32) -> Option<i32> {
        self.context.value(option)
    }
}

/// A socket. Numbers below 0 that methods return are negative errnos; those of ZeroMQ's own lie below -156384712.
#[napi]
pub struct ZmqSocket {
    socket: Socket,
    hold: Hold,
}

impl std::fmt::Debug for ZmqSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.socket.fmt(f)
    }
}

#[napi]
impl ZmqSocket {
    /// `kind` is libzmq's number. The functions get: `(slab, offset, length, messages)` a run of records (see
    /// `Frames`); `(buffer, more)` a long frame; `(count)` room for so many messages; `(type, address, number, code)` an
    /// event.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: &Env,
        context: &ZmqContext,
        kind: u32,
        on_messages: Function<'_, (), ()>,
        on_large: Function<'_, (), ()>,
        on_room: Function<'_, (), ()>,
        on_event: Function<'_, (), ()>,
    ) -> Result<Self> {
        let state = EnvState::of(env)?;
        let bridge = Bridge {
            state: Rc::downgrade(&state),
            messages: Callback::new(env, &on_messages, "ZMQSOCKET")?,
            large: Callback::new(env, &on_large, "ZMQSOCKET")?,
            room: Callback::new(env, &on_room, "ZMQSOCKET")?,
            event: Callback::new(env, &on_event, "ZMQSOCKET")?,
        };
        let socket = kind_of(kind)
            .ok_or(Error::Invalid)
            .and_then(|kind| Socket::new(state.reactor(), &context.context, kind, Options::default(), Rc::new(bridge)));
        match socket {
            Ok(socket) => Ok(Self { socket, hold: Hold::new(state.reactor()) }),
            Err(error) => Err(napi::Error::from_reason(format!("{}", error.errno()))),
        }
    }

    /// Sets an option by libzmq's number.
    #[napi(catch_unwind)]
    pub fn set_number(&self, option: u32, value: i64) -> i32 {
        code(self.socket.options(|options| options.set_number(option, value)))
    }

    /// Sets an option that is a text; nothing clears it.
    #[napi(catch_unwind)]
    pub fn set_bytes(&self, option: u32, value: Option<&[u8]>) -> i32 {
        code(self.socket.options(|options| options.set_bytes(option, value)))
    }

    /// SUB: wants what begins with the topic, or no longer.
    #[napi(catch_unwind)]
    pub fn subscribe(&self, topic: &[u8], on: bool) -> i32 {
        code(self.socket.subscribe(topic, on))
    }

    #[napi(catch_unwind)]
    pub fn bind(&self, address: String) -> i32 {
        code(self.socket.bind(&address).map(drop))
    }

    #[napi(catch_unwind)]
    pub fn unbind(&self, address: String) -> i32 {
        code(self.socket.unbind(&address))
    }

    #[napi(catch_unwind)]
    pub fn connect(&self, address: String) -> i32 {
        code(self.socket.connect(&address))
    }

    #[napi(catch_unwind)]
    pub fn disconnect(&self, address: String) -> i32 {
        code(self.socket.disconnect(&address))
    }

    /// Where it was bound or connected last, with the port or path that was chosen.
    #[napi(catch_unwind)]
    pub fn last_endpoint(&self) -> Option<String> {
        self.socket.last_endpoint()
    }

    /// Sends one message, the first `length` bytes; room for more, or why not.
    #[napi(catch_unwind)]
    pub fn send(&self, wire: &[u8], length: u32) -> i32 {
        room(wire.get(..length as usize).ok_or(Error::Invalid).and_then(|message| self.socket.send(message)))
    }

    /// Sends messages that there was room for, the first `length` bytes; room for more.
    #[napi(catch_unwind)]
    pub fn send_run(&self, wire: &[u8], length: u32) -> i32 {
        room(wire.get(..length as usize).ok_or(Error::Invalid).and_then(|wire| self.socket.send_run(wire)))
    }

    /// Room for messages.
    #[napi(catch_unwind)]
    pub fn room(&self) -> i32 {
        room(Ok(self.socket.room()))
    }

    /// The user has taken so many messages.
    #[napi(catch_unwind)]
    pub fn consumed(&self, messages: u32) {
        self.socket.consumed(messages as usize);
    }

    /// Does somebody wait for this socket? Then the process stays.
    #[napi(catch_unwind)]
    pub fn hold(&self, on: bool) {
        self.hold.set(on);
    }

    /// Tells of events from now on, or no longer.
    #[napi(catch_unwind)]
    pub fn observe(&self, on: bool) {
        self.socket.observe(on);
    }

    /// Is there nothing that waits to be sent?
    #[napi(catch_unwind)]
    pub fn is_flushed(&self) -> bool {
        self.socket.is_flushed()
    }

    /// Is there a peer, or one that we connect to, for whom messages may wait?
    #[napi(catch_unwind)]
    pub fn has_pipes(&self) -> bool {
        self.socket.has_pipes()
    }

    /// Closed, and with something left to send?
    #[napi(catch_unwind)]
    pub fn is_lingering(&self) -> bool {
        self.socket.is_lingering()
    }

    /// Closes; what is queued is still sent, as long as linger says.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.hold.set(false);
        self.socket.close();
    }
}

/// Takes what the socket says into JavaScript.
struct Bridge {
    state: Weak<EnvState>,
    messages: Callback,
    large: Callback,
    room: Callback,
    event: Callback,
}

impl Bridge {
    /// One run of records, as long as a slab may be; or one long frame. `false`: memory is out, and what was not handed
    /// over is left where it is.
    fn hand_over(&self, state: &EnvState, batch: &mut Frames) -> bool {
        if batch.is_large() {
            return self.hand_over_large(state, batch);
        }
        let slab = state.slab();
        let Some(memory) = slab.reserve(state, batch.front(usize::MAX).0.len()) else { return false };
        let (bytes, messages) = batch.front(memory.len());
        let length = bytes.len();
        // SAFETY: the slab's until `take`, and nobody has been shown it; no JavaScript runs here.
        write(&mut unsafe { &mut *memory.as_ptr() }[..length], bytes);
        batch.advance(length, messages);
        let (buffer, offset) = slab.take(length);
        self.messages.call(&[Arg::Reference(buffer), number(offset), number(length), number(messages)]);
        length > 0
    }

    /// The frame's own memory becomes the buffer's.
    fn hand_over_large(&self, state: &EnvState, batch: &mut Frames) -> bool {
        let mut reference = std::ptr::null_mut();
        let mut taken = None;
        state.inside_js(|| {
            let Some((body, more)) = batch.pop_large() else { return };
            taken = Some(more);
            let Ok(buffer) = ArrayBuffer::from_data(&Env::from_raw(state.raw()), body) else { return };
            // SAFETY: a value of the open scope and a live env.
            unsafe { sys::napi_create_reference(state.raw(), buffer.raw(), 1, &raw mut reference) };
        });
        let Some(more) = taken else { return false };
        // The memory is there; V8 cannot even make the object. Half a message cannot be handed over instead.
        assert!(!reference.is_null(), "no memory to hand over a message");
        self.large.call(&[Arg::Reference(reference), Arg::Bool(more)]);
        // SAFETY: our reference, given back once.
        unsafe { sys::napi_delete_reference(state.raw(), reference) };
        true
    }
}

impl Handler for Bridge {
    fn received(&self, batch: &mut Frames) {
        let Some(state) = self.state.upgrade() else { return };
        while batch.messages() > 0 && self.hand_over(&state, batch) {}
    }

    fn writable(&self, count: usize) {
        self.room.call(&[Arg::Int(room(Ok(count)))]);
    }

    fn event(&self, event: &Event) {
        let (kind, address, number, code) = match event {
            Event::Bind(address) => ("bind", address, 0, ""),
            Event::Accept(address) => ("accept", address, 0, ""),
            Event::AcceptError(address, errno) => ("accept:error", address, *errno, ""),
            Event::Connect(address) => ("connect", address, 0, ""),
            Event::ConnectDelay(address) => ("connect:delay", address, 0, ""),
            Event::ConnectRetry(address, pause) => {
                ("connect:retry", address, i32::try_from(*pause).unwrap_or(i32::MAX), "")
            }
            Event::Close(address) => ("close", address, 0, ""),
            Event::Disconnect(address) => ("disconnect", address, 0, ""),
            Event::Handshake(address) => ("handshake", address, 0, ""),
            Event::HandshakeError(address, None) => ("handshake:error:other", address, libc::EPIPE, ""),
            Event::HandshakeError(address, Some(error)) if error.is_timeout() => {
                ("handshake:error:other", address, libc::ETIMEDOUT, "")
            }
            Event::HandshakeError(address, Some(error)) => match error.auth_status() {
                Some(status) => ("handshake:error:auth", address, i32::from(status), ""),
                None => ("handshake:error:protocol", address, 0, error.code()),
            },
        };
        self.event.call(&[Arg::Text(kind), Arg::Text(address), Arg::Int(number), Arg::Text(code)]);
    }
}

/// libzmq's `ZMQ_*` socket types.
fn kind_of(kind: u32) -> Option<SocketType> {
    use SocketType::{Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};
    [Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub].get(kind as usize).copied()
}

fn code(result: std::result::Result<(), Error>) -> i32 {
    result.map_or_else(|error| -error.errno(), |()| 0)
}

fn room(result: std::result::Result<usize, Error>) -> i32 {
    result.map_or_else(|error| -error.errno(), |count| i32::try_from(count).unwrap_or(i32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "offsets and counts within 1 MiB")]
fn number(value: usize) -> Arg<'static> {
    Arg::Number(value as f64)
}
