//! Locks and GILs for Archipelago hosts.
