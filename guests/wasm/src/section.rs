//! Making the start section of a module resumable.
//!
//! A module may name a start function that runs while it is instantiated. wasmi cannot suspend it there, so it would
//! run without slices. [`lift_start`] rewrites the module: the section goes, and its function is exported under a name
//! that [`Instance`](crate::Instance) calls first.

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
        let (length, body) = number(body)?;
        let (body, after) = body.split_at_checked(length as usize)?;
        match id {
            // Sections are in order, exports right before the start: written when the start section is met.
            EXPORTS if has_start(after) => exports = body,
            START => {
                let (function, _) = number(body)?;
                let (count, entries) = number(exports)?;
                let mut section = Vec::new();
                put_number(&mut section, count.checked_add(1)?);
                section.extend_from_slice(entries);
                put_number(&mut section, export.len() as u32);
                section.extend_from_slice(export.as_bytes());
                section.push(FUNCTION_EXPORT);
                put_number(&mut section, function);
                put_section(&mut bytes, EXPORTS, &section);
                lifted = true;
            }
            _ => put_section(&mut bytes, id, body),
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
        let Some(after) = number(body).and_then(|(length, body)| body.get(length as usize..)) else {
            return false;
        };
        rest = after;
    }
    false
}

/// Reads a number in LEB128.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

fn put_number(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn put_section(bytes: &mut Vec<u8>, id: u8, body: &[u8]) {
    bytes.push(id);
    put_number(bytes, body.len() as u32);
    bytes.extend_from_slice(body);
}
