#![doc = include_str!("../README.md")]
#![no_std]

mod arena;
mod arenas;
mod class;
mod heap;
mod inspect;
mod large;
mod page;
mod pages;
mod reserve;
mod table;

pub use heap::SlabHeap;

/// For hosts with an operating system below.
pub type UsualHeap = SlabHeap<16384, { 8 << 20 }, 45>;

/// For microcontrollers: small pages, few classes, and nothing is kept.
pub type SmallHeap = SlabHeap<512, 0, 9>;
