//! The raw domain on linked_list_allocator, behind any lock.
