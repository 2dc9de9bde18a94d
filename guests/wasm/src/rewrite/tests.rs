//! What is rewritten means the same, is valid exactly if the original is, and is metered less often.

mod generated;
mod shapes;

use super::rewrite;
use crate::Engine;
use wasmi::{Error, Linker, Module, Store, Val};

/// What can be seen of a run: results or the trap, memory, the global, and the fuel it took.
#[derive(Debug, PartialEq)]
struct Seen {
    end: Result<Vec<String>, String>,
    memory: Vec<u8>,
    global: Option<String>,
}

fn module(bytes: &[u8]) -> Result<Module, Error> {
    Module::new(&Engine::new().wasmi, bytes)
}

/// Runs the export `run` with `arguments`; `None` when `fuel` does not suffice, and the fuel it took otherwise.
fn run(bytes: &[u8], arguments: &[i32], fuel: u64) -> Option<(Seen, u64)> {
    let module = module(bytes).expect("a valid module");
    let mut store = Store::new(module.engine(), ());
    store.set_fuel(fuel).unwrap();
    let instance = Linker::new(module.engine()).instantiate_and_start(&mut store, &module).unwrap();
    let function = instance.get_func(&store, "run").unwrap();
    let arguments: Vec<_> = arguments.iter().map(|value| Val::I32(*value)).collect();
    let results = function.ty(&store).results().len();
    let mut results = vec![Val::I32(0); results];
    let end = function.call(&mut store, &arguments, &mut results);
    let end = match end {
        Ok(()) => Ok(results.iter().map(|value| format!("{value:?}")).collect()),
        Err(error) if error.as_trap_code() == Some(wasmi::TrapCode::OutOfFuel) => return None,
        Err(error) => Err(error.to_string()),
    };
    let memory = instance.get_memory(&store, "memory");
    let memory = memory.map(|memory| memory.data(&store).to_vec()).unwrap_or_default();
    let global = instance.get_global(&store, "global").map(|global| format!("{:?}", global.get(&store)));
    Some((Seen { end, memory, global }, fuel - store.get_fuel().unwrap()))
}

/// Compares both forms of a valid module, and returns the fuel they took.
fn same(text: &str, arguments: &[i32]) -> Option<(u64, u64)> {
    const FUEL: u64 = 100_000;
    let original = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let rewritten = rewrite(&original)?;
    assert!(module(&rewritten).is_ok(), "refused: {:?}\n{text}", module(&rewritten).err());
    let (expected, before) = run(&original, arguments, FUEL)?;
    // Skipped code counts, so more may be needed, but not without end.
    let (found, after) = run(&rewritten, arguments, 100 * FUEL).unwrap_or_else(|| panic!("too dear\n{text}"));
    assert_eq!(found, expected, "{arguments:?}\n{text}");
    Some((before, after))
}
