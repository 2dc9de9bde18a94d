//! The std host of the Archipelago kernel.
