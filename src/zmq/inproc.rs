//! Sockets of one context that talk without a transport, on the same thread or on two.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Error;
use crate::reactor::{Remote, Token};

/// How to wake a socket on its own thread.
#[derive(Clone, Debug)]
pub(super) struct Bell {
    pub(super) remote: Remote,
    pub(super) token: Token,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.remote.notify(self.token);
    }
}

/// What one side is, as the other needs to know it.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) bell: Bell,
    pub(super) identity: Option<Box<[u8]>>,
    pub(super) send_hwm: usize,
    pub(super) receive_hwm: usize,
}

/// One side of a link between two sockets.
#[derive(Debug)]
pub(super) struct End {
    link: Arc<Mutex<Link>>,
    side: usize,
}

/// Two directions, each written by one side and read by the other.
#[derive(Debug)]
struct Link {
    parties: [Option<Party>; 2],
    queues: [Queue; 2],
    closed: [bool; 2],
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Vec<u8>>,
    /// Messages sent that the reader's user has not taken.
    messages: usize,
    /// 0: no limit. Until the other side is there, the writer's own high-water mark.
    limit: usize,
    /// The writer was told that there is no room.
    starving: bool,
}

impl End {
    /// A link with nobody at the other end yet.
    fn pending(party: Party) -> Self {
        let mut queues = [Queue::default(), Queue::default()];
        queues[0].limit = party.send_hwm;
        let link = Link { parties: [Some(party), None], queues, closed: [false; 2] };
        Self { link: Arc::new(Mutex::new(link)), side: 0 }
    }

    /// Takes the other end; `None` if the first side has gone meanwhile.
    fn join(link: &Arc<Mutex<Link>>, party: &Party) -> Option<Self> {
        let mut guard = lock(link);
        if guard.closed[0] {
            return None;
        }
        let first = guard.parties[0].clone()?;
        guard.queues[0].limit = both(first.send_hwm, party.receive_hwm);
        guard.queues[1].limit = both(party.send_hwm, first.receive_hwm);
        guard.parties[1] = Some(party.clone());
        first.bell.ring();
        drop(guard);
        Some(Self { link: Arc::clone(link), side: 1 })
    }

    /// Messages that may be sent, when `staged` are waiting to be.
    pub(super) fn room(&self, staged: usize) -> usize {
        let mut link = lock(&self.link);
        let queue = &mut link.queues[self.side];
        let room = match queue.limit {
            0 => super::pipe::PLENTY,
            limit => limit.saturating_sub(queue.messages + staged),
        };
        queue.starving = room == 0;
        room
    }

    /// Sends encoded messages.
    pub(super) fn send(&self, chunks: VecDeque<Vec<u8>>, messages: usize) {
        let mut link = lock(&self.link);
        let queue = &mut link.queues[self.side];
        queue.chunks.extend(chunks);
        queue.messages += messages;
        if let Some(peer) = &link.parties[1 - self.side] {
            peer.bell.ring();
        }
    }

    /// What the other side has sent; `None` at its end.
    pub(super) fn receive(&self) -> Option<VecDeque<Vec<u8>>> {
        let mut link = lock(&self.link);
        let chunks = std::mem::take(&mut link.queues[1 - self.side].chunks);
        (!chunks.is_empty() || !link.closed[1 - self.side]).then_some(chunks)
    }

    /// The user has taken so many messages.
    pub(super) fn consumed(&self, messages: usize) {
        let mut link = lock(&self.link);
        let queue = &mut link.queues[1 - self.side];
        queue.messages = queue.messages.saturating_sub(messages);
        if std::mem::take(&mut queue.starving)
            && let Some(peer) = &link.parties[1 - self.side]
        {
            peer.bell.ring();
        }
    }

    /// The other side, once it is there.
    pub(super) fn peer(&self) -> Option<Party> {
        lock(&self.link).parties[1 - self.side].clone()
    }

    /// Is everything sent within the reader's reach? It can be read also when this end is gone.
    pub(super) fn is_flushed(&self) -> bool {
        let link = lock(&self.link);
        link.queues[self.side].chunks.is_empty() || link.parties[1 - self.side].is_some()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut link = lock(&self.link);
        link.closed[self.side] = true;
        if let Some(peer) = &link.parties[1 - self.side] {
            peer.bell.ring();
        }
    }
}

/// The inproc names of a context.
#[derive(Debug, Default)]
pub(super) struct Registry {
    names: Mutex<HashMap<String, Name>>,
}

#[derive(Debug)]
enum Name {
    Bound {
        party: Party,
        /// Links that the bound socket has not taken up yet.
        inbox: Arc<Inbox>,
    },
    /// Those who came before the bind.
    Awaited(Vec<Arc<Mutex<Link>>>),
}

/// New links for a bound socket.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    links: Mutex<Vec<End>>,
}

impl Inbox {
    pub(super) fn take(&self) -> Vec<End> {
        std::mem::take(&mut *lock(&self.links))
    }
}

impl Registry {
    /// Binds the name; who connected before gets through now.
    pub(super) fn bind(&self, name: &str, party: &Party) -> Result<Arc<Inbox>, Error> {
        let mut names = lock(&self.names);
        let awaiting = match names.get_mut(name) {
            Some(Name::Bound { .. }) => return Err(std::io::Error::from_raw_os_error(libc::EADDRINUSE).into()),
            Some(Name::Awaited(links)) => std::mem::take(links),
            None => Vec::new(),
        };
        let inbox = Arc::new(Inbox::default());
        lock(&inbox.links).extend(awaiting.iter().filter_map(|link| End::join(link, party)));
        names.insert(name.to_owned(), Name::Bound { party: party.clone(), inbox: Arc::clone(&inbox) });
        drop(names);
        party.bell.ring();
        Ok(inbox)
    }

    /// Frees the name; links stay.
    pub(super) fn unbind(&self, name: &str) {
        lock(&self.names).remove(name);
    }

    /// Our end of a link to who has bound the name, or will bind it.
    pub(super) fn connect(&self, name: &str, party: Party) -> End {
        let end = End::pending(party);
        let mut names = lock(&self.names);
        match names.get_mut(name) {
            Some(Name::Bound { party: bound, inbox }) => {
                lock(&inbox.links).extend(End::join(&end.link, bound));
                bound.bell.ring();
            }
            Some(Name::Awaited(links)) => {
                links.retain(|link| !lock(link).closed[0]);
                links.push(Arc::clone(&end.link));
            }
            None => {
                names.insert(name.to_owned(), Name::Awaited(vec![Arc::clone(&end.link)]));
            }
        }
        end
    }
}

/// libzmq: the marks of both sides add up, and none of them being endless makes an end.
fn both(one: usize, other: usize) -> usize {
    if one == 0 || other == 0 { 0 } else { one.saturating_add(other) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
