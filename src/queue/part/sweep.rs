//! Parts that nobody will receive any more: their writer left or died, and no message names them.

use std::collections::HashSet;
use std::sync::atomic::{Ordering, fence};

use super::{Aux, NAME_LEN, Name, PART, PREFIX};
use crate::queue::layout::Shared;
use crate::queue::record::{self, HEAD, Head, MESSAGE_HEAD};
use crate::queue::ring::{Corrupt, Record};
use crate::queue::state::{Status, advance, is_behind};

/// Removes them. Whoever reads one has it mapped.
pub(crate) fn sweep(shared: &Shared<'_>, aux: &Aux) {
    let Ok(names) = aux.names(PREFIX) else { return };
    let left: Vec<Name> =
        names.iter().filter_map(|name| Name::parse(name)).filter(|name| name.is_abandoned(shared)).collect();
    if left.is_empty() {
        return;
    }
    // SYNC: pairs with the fence of `Work::forget`: a receiver that saw the writer at its seat has ended its record before we look.
    fence(Ordering::SeqCst);
    let Ok(Some(named)) = named_in_queue(shared) else { return };
    left.iter().filter(|name| !named.contains(&(name.writer, name.number))).for_each(|name| name.remove(aux));
}

/// The part that a record names, if it is one of those. `None` also for a name that was damaged.
pub(crate) fn named_by(shared: &Shared<'_>, record: &Record) -> Result<Option<Name>, Corrupt> {
    let mut bytes = [0; HEAD + MESSAGE_HEAD + NAME_LEN];
    if (record.state.slots as usize) * record::SLOT < bytes.len() {
        return Ok(None);
    }
    shared.read(record.position, 0, &mut bytes)?;
    let (head, rest) = bytes.split_at(HEAD);
    let (message, name) = rest.split_at(MESSAGE_HEAD);
    let head = Head::decode(head.try_into().map_err(|_| Corrupt)?);
    let message = record::parse_message_head(message.try_into().map_err(|_| Corrupt)?, 0).map_err(|_| Corrupt)?;
    let names = head.count == 1 && message.tag & PART != 0 && message.length == NAME_LEN;
    Ok(if names { name.try_into().ok().and_then(Name::decode) } else { None })
}

/// What the messages in the queue name. `None`: it changes too fast to be sure.
fn named_in_queue(shared: &Shared<'_>) -> Result<Option<HashSet<(u64, u64)>>, Corrupt> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        let (tail, mut end) = (shared.ring.tail(), shared.ring.free());
        let mut named = HashSet::new();
        let mut result = Ok(());
        shared.ring.walk(end, |record| {
            end = advance(record.position, record.state.slots);
            // What is being written names nothing yet, or what its writer is there to remove.
            if matches!(record.state.status, Status::Ready | Status::Again | Status::Reading) {
                match named_by(shared, &record) {
                    Ok(name) => named.extend(name.map(|name| (name.writer, name.number))),
                    Err(Corrupt) => result = Err(Corrupt),
                }
            }
            result.is_ok()
        })?;
        result?;
        // Else slots were used again while we walked, and we lost the way.
        if !is_behind(end, tail) {
            return Ok(Some(named));
        }
    }
    Ok(None)
}
