//! What the command calls the interpreters that the kernel numbers as they are created.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use archipelago::InterpreterId;

use crate::plan::Plan;

/// The numbers that the command gave them.
#[derive(Default)]
pub struct Names(Mutex<HashMap<InterpreterId, usize>>);

impl Names {
    /// This is what the kernel calls interpreter `number`.
    pub fn set(&self, id: InterpreterId, number: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, number);
    }

    /// Its number; 0 where it has none, and for main.
    pub fn number(&self, id: InterpreterId) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied().unwrap_or(0)
    }

    /// What it is called.
    pub fn of(&self, id: InterpreterId, plan: &Plan) -> String {
        match self.number(id) {
            0 if id.is_main() => "main".to_owned(),
            // It has no number before it is whole.
            0 => "not created".to_owned(),
            number => format!("[{number}] {}", plan.source(number).path().display()),
        }
    }
}
