//! The Archipelago kernel.
#![no_std]
