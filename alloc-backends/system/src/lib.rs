//! The raw domain on the system allocator.
