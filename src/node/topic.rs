//! Topics for JavaScript: one [`TopicHandle`] per `Topic`, `Subscription` and `BroadcastChannel` object. Everything crosses as
//! for queues, and has the same names.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

mod receive;
mod send;
mod wait;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use napi::{Env, Error, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::Callback;
use super::chunk::Chunk;
use super::env::EnvState;
use super::queue::{Landing, OUTBOX, bytes, closed, join_error, number};
use crate::queue::{Flags, JoinError, New, Sleeper, Watch};
use crate::shm::{Place, Segment};
use crate::topic::{Subscription, Topic, Wish};

/// What a topic holds and did.
#[napi(object, object_from_js = false)]
pub(crate) struct TopicStats {
    pub capacity: f64,
    pub used: f64,
    pub sent: f64,
    pub received: f64,
    pub subscribers: u32,
    pub lossy: u32,
}

/// One handle of a topic: to publish, to receive, or both.
#[napi]
pub(crate) struct TopicHandle {
    inner: Rc<Inner>,
    created: bool,
}

struct Inner {
    line: RefCell<Option<Line>>,
    outbox: Arc<Chunk>,
    landing: Landing,
    on_wake: RefCell<Option<Callback>>,
    watch: Rc<Watch>,
}

enum Line {
    Publisher(Topic),
    Subscriber(Subscription),
}

/// Which topic to open, and how to make it.
#[napi(object, object_to_js = false)]
pub(crate) struct TopicRequest {
    /// Name or ticket; without it, an anonymous topic is made.
    pub place: Option<String>,
    /// Bytes of a new one; 0: one that is there.
    pub capacity: f64,
    pub codec: u8,
    /// The handle also receives what others publish.
    pub channel: bool,
}

/// Opens a topic, or makes one where there is none. `on_wake` is called in a turn when there may be messages or room that
/// were waited for.
#[napi(catch_unwind)]
pub(crate) fn open_topic(
    env: Env,
    request: TopicRequest,
    #[napi(ts_arg_type = "() => void")] on_wake: Function<'_, (), ()>,
) -> Result<TopicHandle> {
    let TopicRequest { place, capacity, codec, channel } = request;
    let place = match place {
        Some(text) => Place::parse(&text).map_err(|error| Error::from_reason(format!("INVALID_NAME: {error}")))?,
        None => Place::Anonymous,
    };
    // A ticket means a topic that is there: nothing is created for it.
    let new = (capacity > 0.0 && !matches!(place, Place::Ticket(_))).then(|| New {
        capacity: bytes(capacity),
        persistent: false,
        flags: Flags { codec, ..Flags::default() },
    });
    let opened = Topic::join(&place, new).and_then(|(topic, created)| {
        let wish = Wish { lossy: false, others_only: true };
        let line = if channel { subscriber(topic.into_subscription(wish))? } else { Line::Publisher(topic) };
        Ok((line, created))
    });
    let (line, created) = opened.map_err(|error| join_error(&error))?;
    TopicHandle::new(env, line, created, on_wake)
}

#[napi]
impl TopicHandle {
    /// Another handle, which receives what is published from now on. `lossy`: publishers do not wait for it.
    #[napi(catch_unwind)]
    pub fn subscribe(
        &self,
        env: Env,
        lossy: bool,
        #[napi(ts_arg_type = "() => void")] on_wake: Function<'_, (), ()>,
    ) -> Result<TopicHandle> {
        let mut line = self.inner.line.borrow_mut();
        let topic = line.as_mut().ok_or_else(closed)?.topic();
        let line = subscriber(topic.subscribe(Wish { lossy, others_only: false }));
        Self::new(env, line.map_err(|error| join_error(&error))?, false, on_wake)
    }

    /// What it holds and did.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Option<TopicStats> {
        let mut line = self.inner.line.borrow_mut();
        let stats = line.as_mut()?.topic().stats();
        Some(TopicStats {
            capacity: number(stats.capacity),
            used: number(stats.used),
            sent: number(stats.sent),
            received: number(stats.received),
            subscribers: stats.reliable + stats.lossy,
            lossy: stats.lossy,
        })
    }

    /// Messages that a lossy subscription did not get.
    #[napi(getter, catch_unwind)]
    pub fn missed(&self) -> f64 {
        let line = self.inner.line.borrow();
        line.as_ref().and_then(Line::as_subscription).map_or(0.0, |subscription| number(subscription.missed()))
    }

    /// Whether this handle made the topic.
    #[napi(getter, catch_unwind)]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Messages of topics are not acknowledged.
    #[napi(getter, catch_unwind)]
    pub fn acknowledged(&self) -> bool {
        false
    }

    /// What its creator encodes values with.
    #[napi(getter, catch_unwind)]
    pub fn codec(&self) -> u8 {
        self.inner.line.borrow_mut().as_mut().map_or(0, |line| line.topic().flags().codec)
    }

    /// The user's name for it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Option<String> {
        self.segment()?.name().map(str::to_owned)
    }

    /// What opens exactly this topic in another thread or process.
    #[napi(getter, catch_unwind)]
    pub fn ticket(&self) -> Option<String> {
        Some(self.segment()?.ticket()?.to_string())
    }

    /// Leaves the topic.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }
}

impl TopicHandle {
    fn new(env: Env, line: Line, created: bool, on_wake: Function<'_, (), ()>) -> Result<Self> {
        let state = EnvState::of(&env)?;
        let inner = Rc::new_cyclic(|this: &Weak<Inner>| Inner {
            // With many subscribers, each that looked in place of sleeping would take the time of another.
            watch: Watch::new(state.reactor(), Weak::<Inner>::clone(this), Duration::ZERO),
            landing: Landing::new(&state),
            line: RefCell::new(Some(line)),
            outbox: Chunk::new(OUTBOX),
            on_wake: RefCell::default(),
        });
        *inner.on_wake.borrow_mut() = Some(Callback::new(&env, &on_wake, "interproc.Topic")?);
        Ok(Self { inner, created })
    }

    fn segment(&self) -> Option<Arc<Segment>> {
        let mut line = self.inner.line.borrow_mut();
        Some(Arc::clone(line.as_mut()?.topic().segment()))
    }
}

impl Inner {
    fn with(&self, action: impl FnOnce(&mut Line) -> i32) -> i32 {
        self.line.borrow_mut().as_mut().map_or(-libc::EBADF, action)
    }

    fn close(&self) {
        if let Some(mut line) = self.line.take() {
            self.watch.close(line.sleeper());
        }
        self.on_wake.take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not closed: JavaScript forgot it, or the thread ends.
        self.close();
    }
}

impl Line {
    fn sleeper(&mut self) -> &mut dyn Sleeper {
        match self {
            Self::Publisher(topic) => topic,
            Self::Subscriber(subscription) => subscription,
        }
    }

    fn topic(&mut self) -> &mut Topic {
        match self {
            Self::Publisher(topic) => topic,
            Self::Subscriber(subscription) => subscription.topic(),
        }
    }

    fn subscription(&mut self) -> Option<&mut Subscription> {
        if let Self::Subscriber(subscription) = self { Some(subscription) } else { None }
    }

    fn as_subscription(&self) -> Option<&Subscription> {
        if let Self::Subscriber(subscription) = self { Some(subscription) } else { None }
    }
}

fn subscriber(subscription: std::result::Result<Subscription, JoinError>) -> std::result::Result<Line, JoinError> {
    Ok(Line::Subscriber(subscription?))
}
