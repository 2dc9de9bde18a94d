//! Writes the memory map of the board, chosen by `BOARD`.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let board = env::var("BOARD").unwrap_or_else(|_| "lm3s6965evb".into());
    // What the image may use; the boards of the MPS2 family have more.
    let (flash, ram, hertz, heap) = match board.as_str() {
        "lm3s6965evb" => ("256K", "64K", 12_500_000, 24 * 1024),
        "mps2-an386" => ("256K", "64K", 25_000_000, 24 * 1024),
        "microbit" => ("256K", "16K", 16_000_000, 9 * 1024),
        other => panic!("BOARD={other} is none of lm3s6965evb, mps2-an386, microbit"),
    };
    let memory = format!(
        "MEMORY {{\n  FLASH : ORIGIN = 0x00000000, LENGTH = {flash}\n  RAM : ORIGIN = 0x20000000, LENGTH = {ram}\n}}\n"
    );
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR can be written");
    let numbers = format!("pub const HERTZ: u32 = {hertz};\npub const HEAP: usize = {heap};\n");
    fs::write(out.join("numbers.rs"), numbers).expect("OUT_DIR can be written");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-env-changed=BOARD");
    println!("cargo:rerun-if-changed=build.rs");
}
