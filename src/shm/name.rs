//! Names that users give, the file names made of them, and tickets.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::Kind;
use super::sys_unix as sys;

/// Bytes of UTF-8 that a name may have.
pub const MAX_NAME_LEN: usize = 200;

/// What every ticket begins with; no name may.
const TICKET_PREFIX: &str = "interproc:";

/// Why a name or ticket was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// It is empty.
    Empty,
    /// It has more than [`MAX_NAME_LEN`] bytes.
    TooLong(usize),
    /// It contains a NUL character.
    Nul,
    /// It begins like a ticket but is none.
    BadTicket,
    /// The operation takes another sort of place.
    WrongPlace,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the name is empty"),
            Self::TooLong(len) => write!(f, "the name has {len} bytes of UTF-8, {MAX_NAME_LEN} is the most"),
            Self::Nul => write!(f, "the name contains a NUL character"),
            Self::BadTicket => {
                write!(f, "names that begin with \"{TICKET_PREFIX}\" are tickets, and this is not a valid one")
            }
            Self::WrongPlace => write!(f, "a ticket or no name is not possible here"),
        }
    }
}

impl std::error::Error for InvalidName {}

/// A name that a user chose: 1 to 200 bytes of UTF-8, no NUL, not like a ticket. Any other character goes, `/` too: the
/// file is named after its hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(InvalidName::TooLong(name.len()));
        }
        if name.contains('\0') {
            return Err(InvalidName::Nul);
        }
        if name.starts_with(TICKET_PREFIX) {
            return Err(InvalidName::BadTicket);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// No name: only who has the ticket finds it.
    Anonymous,
    /// Under a user's name.
    Name(Name),
    /// What a ticket of [`Segment::ticket`](super::Segment::ticket) means. Only for opening.
    Ticket(Ticket),
    /// A file of the caller's choice; always persistent, and it survives a reboot if the disk does.
    File(PathBuf),
}

impl Place {
    /// Reads a name or a ticket, as users pass them.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        match text.strip_prefix(TICKET_PREFIX) {
            Some(rest) => Ticket::parse(rest).map(Self::Ticket),
            None => Name::new(text).map(Self::Name),
        }
    }
}

/// Where exactly a segment is, and which one of all that ever had that place. Cannot be guessed: it holds 128 random bits.
///
/// As text: `interproc:<kind>:<hash of the place>:<id>`, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub(super) kind: Kind,
    pub(super) place: u128,
    pub(super) id: u128,
}

impl Ticket {
    fn parse(rest: &str) -> Result<Self, InvalidName> {
        let mut parts = rest.split(':');
        let mut field = || parts.next().ok_or(InvalidName::BadTicket);
        let kind = u32::from_str_radix(field()?, 16).map_err(|_| InvalidName::BadTicket)?;
        let ticket = Self { kind: Kind::new(kind), place: hex128(field()?)?, id: hex128(field()?)? };
        // The one spelling only: no sign, no capitals, nothing after it.
        if ticket.to_string().strip_prefix(TICKET_PREFIX) == Some(rest) {
            Ok(ticket)
        } else {
            Err(InvalidName::BadTicket)
        }
    }

    /// What sort of segment it means.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, place, id } = self;
        write!(f, "{TICKET_PREFIX}{:x}:{place:032x}:{id:032x}", kind.get())
    }
}

fn hex128(text: &str) -> Result<u128, InvalidName> {
    if text.len() != 32 {
        return Err(InvalidName::BadTicket);
    }
    u128::from_str_radix(text, 16).map_err(|_| InvalidName::BadTicket)
}

/// Hash of a name: FNV-1a, 128 bits. Not secret and not collision-proof against malice, therefore the header holds the whole
/// name and opening compares it.
pub(super) fn hash_name(name: &Name) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    name.0.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

/// Begins every file name of this user's segments, drafts too.
pub(super) fn file_prefix() -> String {
    format!("interproc.{}.", sys::user_id())
}

/// File name of the segment whose place hashes to `place`.
pub(super) fn file_name(place: u128) -> OsString {
    format!("{}{place:032x}", file_prefix()).into()
}

/// The inverse of [`file_name`].
pub(super) fn place_of(file_name: &str) -> Option<u128> {
    hex128(file_name.strip_prefix(&file_prefix())?).ok()
}

/// Begins the file names of segments that are not published yet.
pub(super) fn draft_prefix() -> String {
    format!("{}new.", file_prefix())
}

/// File name of a segment that is not published yet.
pub(super) fn draft_name(random: u128) -> String {
    format!("{}{random:032x}", draft_prefix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(Name::new("a/b ../ü").is_ok());
        assert!(Name::new(&"x".repeat(200)).is_ok());
        assert_eq!(Name::new(&"x".repeat(201)), Err(InvalidName::TooLong(201)));
        assert_eq!(Name::new(""), Err(InvalidName::Empty));
        assert_eq!(Name::new("a\0b"), Err(InvalidName::Nul));
        assert_eq!(Name::new("interproc:x"), Err(InvalidName::BadTicket));
    }

    #[test]
    fn a_ticket_has_one_spelling() {
        let ticket = Ticket { kind: Kind::BUFFER, place: 1, id: u128::MAX };
        let text = ticket.to_string();
        assert_eq!(Place::parse(&text), Ok(Place::Ticket(ticket)));
        for bad in [
            text.to_uppercase().replace("INTERPROC", "interproc"),
            format!("{text}:"),
            format!("{text}0"),
            text.replace("interproc:1:", "interproc:+1:"),
            text.replace("interproc:1:", "interproc:01:"),
            "interproc:".into(),
            "interproc:1:../../etc/passwd:00".into(),
            "interproc:ü".into(),
        ] {
            assert_eq!(Place::parse(&bad), Err(InvalidName::BadTicket), "{bad}");
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vector of the FNV reference: 128-bit FNV-1a of "a".
        let a = Name::new("a").unwrap();
        assert_eq!(hash_name(&a), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
