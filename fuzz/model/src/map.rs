//! The kernel's `Map` in a real interpreter against `BTreeMap` (SPEC M5).

use std::collections::BTreeMap;

use archipelago::{Attached, InterpreterConfig, Runtime};
use archipelago_kernel::{
    collections::{Box, Map, Text},
    memory::MemoryLimits,
};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[allow(missing_docs)]
pub enum Act {
    Insert(u16, u32),
    Remove(u16),
    Look(u16),
    Change(u16),
    Shrink,
    Reserve(u8),
    Clear,
    Take,
    /// From now on the interpreter may take so many times 64 bytes more, or what it likes.
    Limit(Option<u8>),
}

/// What the keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Keys {
    /// Numbers, hashed by the standard library's trait.
    Numbers,
    /// Texts in the heap, looked up by strings from elsewhere.
    Texts,
}

/// Does the steps on an interpreter's map and on a `BTreeMap`, and asserts that they agree and all memory is back.
pub fn steps(keys: Keys, acts: &[Act]) {
    let runtime = Runtime::new().expect("a runtime");
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).expect("an interpreter");
    state
        .attach(|cx| {
            let before = cx.usage();
            let mut pair = Pair { plain: Map::new(), named: Map::new(), model: BTreeMap::new(), keys };
            for act in acts {
                pair.act(cx, *act);
                assert_eq!(pair.plain.len(cx) + pair.named.len(cx), pair.model.len());
            }
            pair.finish(cx);
            cx.settle();
            assert_eq!(
                (cx.usage().mem.bytes, cx.usage().object.bytes),
                (before.mem.bytes, before.object.bytes)
            );
        })
        .expect("it is alive");
    assert!(runtime.end(state.interpreter(), None).expect("nobody is inside").is_clean());
}

/// The map that the keys say, an empty one, and the model. The values have destructors.
struct Pair<'i> {
    plain: Map<'i, u16, Box<'i, u32>>,
    named: Map<'i, Text<'i>, Box<'i, u32>>,
    model: BTreeMap<u16, u32>,
    keys: Keys,
}

impl<'i> Pair<'i> {
    fn act(&mut self, cx: &mut Attached<'i>, act: Act) {
        match act {
            Act::Insert(key, value) => self.insert(cx, key, value),
            Act::Remove(key) => {
                let old = match self.keys {
                    Keys::Numbers => self.plain.remove(cx, &key),
                    Keys::Texts => self.named.remove(cx, &*key.to_string()),
                };
                assert_eq!(old.map(|old| old.into_inner(cx)), self.model.remove(&key));
            }
            Act::Look(key) => {
                let seen = match self.keys {
                    Keys::Numbers => self.plain.get(cx, &key),
                    Keys::Texts => self.named.get(cx, &*key.to_string()),
                };
                assert_eq!(seen.map(|seen| seen.get(cx)), self.model.get(&key));
            }
            Act::Change(key) => {
                let seen = match self.keys {
                    Keys::Numbers => self.plain.get_mut(cx, &key),
                    Keys::Texts => self.named.get_mut(cx, &*key.to_string()),
                };
                if let Some(seen) = seen {
                    *seen.get_mut(cx) ^= 1;
                }
                self.model.entry(key).and_modify(|value| *value ^= 1);
            }
            // A smaller or a larger table is a new block, which the limit may refuse; then the old one is as it was.
            Act::Shrink => {
                let _ = self.plain.shrink_to_fit(cx);
                let _ = self.named.shrink_to_fit(cx);
            }
            Act::Reserve(more) => {
                let _ = self.plain.reserve(cx, more.into());
                let _ = self.named.reserve(cx, more.into());
            }
            Act::Clear => {
                self.plain.clear(cx);
                self.named.clear(cx);
                self.model.clear();
            }
            Act::Take => {
                self.plain.take().release(cx);
                drop(self.named.take());
                self.model.clear();
            }
            Act::Limit(more) => limit(cx, more),
        }
    }

    fn insert(&mut self, cx: &mut Attached<'i>, key: u16, value: u32) {
        let Ok(boxed) = Box::new(cx, value) else { return };
        let refused = match self.keys {
            Keys::Numbers => match self.plain.insert(cx, key, boxed) {
                Ok(old) => return self.inserted(cx, old, key, value),
                Err(((back, boxed), _)) => {
                    assert_eq!(back, key);
                    boxed
                }
            },
            Keys::Texts => {
                let Ok(name) = Text::of(cx, &key.to_string()) else { return };
                match self.named.insert(cx, name, boxed) {
                    Ok(old) => return self.inserted(cx, old, key, value),
                    Err(((back, boxed), _)) => {
                        assert_eq!(back.as_str(cx), key.to_string());
                        boxed
                    }
                }
            }
        };
        assert_eq!(refused.into_inner(cx), value);
        assert!(!self.model.contains_key(&key), "what has a place already needs no memory");
    }

    fn inserted(&mut self, cx: &Attached<'i>, old: Option<Box<'i, u32>>, key: u16, value: u32) {
        assert_eq!(old.map(|old| old.into_inner(cx)), self.model.insert(key, value));
    }

    fn finish(self, cx: &mut Attached<'i>) {
        let plain = self.plain.iter(cx).map(|(key, value)| (*key, *value.get(cx)));
        let named = self
            .named
            .iter(cx)
            .map(|(key, value)| (key.as_str(cx).parse().expect("a number"), *value.get(cx)));
        assert_eq!(plain.chain(named).collect::<BTreeMap<u16, u32>>(), self.model);
        self.plain.release(cx);
        drop(self.named);
    }
}

fn limit(cx: &mut Attached<'_>, more: Option<u8>) {
    // What is owed still counts.
    cx.settle();
    let hard = more.map(|more| cx.usage().bytes() + usize::from(more) * 64);
    cx.set_memory_limits(MemoryLimits::none().with_hard(hard)).expect("it is not below what is live");
}
