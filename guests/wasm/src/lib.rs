//! WebAssembly programs as a guest of the Archipelago kernel.
