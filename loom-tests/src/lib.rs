//! The loom host and the protocol models.
