//! An interpreter heap of linked blocks from the raw domain.
