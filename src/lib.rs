//! Everything that processes say to each other and share with each other.
