//! The body of a large message, at its receiver.

use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use super::cache::{self, Mapped};
use super::mapping::{Mapping, Sharing};
use super::{Aux, Name, copy_out};

/// A body in this process's memory, and nobody else's to write to. The file is not used again before its drop.
#[derive(Debug)]
pub struct Part {
    memory: Memory,
    length: usize,
}

#[derive(Debug)]
enum Memory {
    /// A mapping for this one message.
    Own { mapping: Mapping, held: Option<Arc<Mapped>> },
    /// The mapping that all messages in this file are read through.
    Kept(Arc<Mapped>),
}

impl Part {
    /// Maps a part that is used once.
    pub(crate) fn open(aux: &Aux, name: Name) -> io::Result<Self> {
        let (file, length) = cache::open_file(aux, name)?;
        let mapping = Mapping::new(&file, length, Sharing::Private)?;
        Ok(Self { memory: Memory::Own { mapping, held: None }, length })
    }

    /// Over the file's mapping. `alone`: nobody else will get the message, so it may be written to.
    pub(super) fn over(mapped: Arc<Mapped>, length: usize, alone: bool) -> io::Result<Self> {
        let memory = if alone {
            mapped.hold()?;
            Memory::Kept(mapped)
        } else {
            let mapping = Mapping::new(mapped.file(), length, Sharing::Private)?;
            mapped.hold()?;
            Memory::Own { mapping, held: Some(mapped) }
        };
        Ok(Self { memory, length })
    }

    /// First byte. Its sender does not write there before the drop; one that means harm can, so no reference may be made of it
    /// unless it is trusted: copy what is looked at more than once.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start().as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: a body without bytes fits the ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of the body, which nobody else can write to.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]: the sender says how long it is.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let copied = self.copy_to(bytes.spare_capacity_mut());
        // SAFETY: reserved, and written just now.
        unsafe { bytes.set_len(copied) };
        Ok(bytes)
    }

    /// Copies the body, or as much of it as `into` has room for: the number of bytes.
    pub fn copy_to(&self, into: &mut [MaybeUninit<u8>]) -> usize {
        let length = self.length.min(into.len());
        // SAFETY: so many bytes are mapped until drop, and `into` has them; the two are not the same. No reference is made.
        unsafe { copy_out(self.as_ptr(), into.as_mut_ptr().cast(), length) };
        length
    }

    fn start(&self) -> NonNull<u8> {
        match &self.memory {
            Memory::Own { mapping, .. } => mapping.start(),
            Memory::Kept(mapped) => mapped.memory().start(),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        match &self.memory {
            Memory::Own { held, .. } => held.iter().for_each(|mapped| mapped.let_go()),
            Memory::Kept(mapped) => mapped.let_go(),
        }
    }
}
