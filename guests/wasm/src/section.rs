//! Making the start section of a module resumable.
//!
//! A module may name a start function that runs while it is instantiated. wasmi cannot suspend it there, so it would
//! run without slices. [`lift_start`] rewrites the module: the section goes, and its function is exported under a name
//! that [`Instance`](crate::Instance) calls first.

use crate::leb::{number, put_number, put_sized, sized};

const MAGIC_AND_VERSION: usize = 8;
const EXPORTS: u8 = 7;
const START: u8 = 8;
const FUNCTION_EXPORT: u8 = 0;

/// A module without its start section, and the name under which it exports the function.
pub(crate) struct Lifted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) export: String,
}

/// Rewrites a valid module; `None` when it has no start section. `taken` says which names are exported already.
pub(crate) fn lift_start(module: &[u8], taken: impl Fn(&str) -> bool) -> Option<Lifted> {
    let mut export = String::from("archipelago start section");
    while taken(&export) {
        export.push('\'');
    }
    let mut bytes = module.get(..MAGIC_AND_VERSION)?.to_vec();
    let mut rest = module.get(MAGIC_AND_VERSION..)?;
    let mut exports: &[u8] = &[0];
    let mut lifted = false;
    while let Some((&id, body)) = rest.split_first() {
        let (body, after) = sized(body)?;
        match id {
            // Sections are in order, exports right before the start: written when the start section is met.
            EXPORTS if has_start(after) => exports = body,
            START => {
                let (function, _) = number(body)?;
                let (count, entries) = number(exports)?;
                let mut section = Vec::new();
                put_number(&mut section, count.checked_add(1)?);
                section.extend_from_slice(entries);
                put_sized(&mut section, export.as_bytes());
                section.push(FUNCTION_EXPORT);
                put_number(&mut section, function);
                bytes.push(EXPORTS);
                put_sized(&mut bytes, &section);
                lifted = true;
            }
            _ => {
                bytes.push(id);
                put_sized(&mut bytes, body);
            }
        }
        rest = after;
    }
    lifted.then_some(Lifted { bytes, export })
}

/// True when a start section follows.
fn has_start(mut rest: &[u8]) -> bool {
    while let Some((&id, body)) = rest.split_first() {
        if id == START {
            return true;
        }
        let Some((_, after)) = sized(body) else { return false };
        rest = after;
    }
    false
}
