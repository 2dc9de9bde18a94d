//! A small stack machine, the second guest that keeps the interface honest.
