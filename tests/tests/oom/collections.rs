//! Containers of the kernel, and those of others.

use archipelago_kernel::{
    collections::{Box, Map, Rc, Text, Vec, foreign::InHeap},
    memory::{AllocCause, AllocError, Domain},
};
use archipelago_tests::support::scaled;

use crate::{Failure, inside, inside_at_every_nth, running};

#[test]
fn a_box_and_an_rc_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        arm();
        let boxed = Box::new(cx, [3_u8; 300]).map_err(|(value, error)| {
            assert_eq!(value, [3; 300]);
            error
        })?;
        match Rc::new(cx, [4_u8; 300]) {
            Ok(rc) => {
                assert_eq!((boxed.get(cx), rc.get(cx)), (&[3; 300], &[4; 300]));
                Ok(())
            }
            Err((value, error)) => {
                assert_eq!((value, boxed.get(cx)), ([4; 300], &[3; 300]));
                boxed.release(cx);
                Err(error)
            }
        }
    });
}

#[test]
fn a_vec_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        arm();
        let mut vec = Vec::new();
        for n in 0..scaled(40, 9) as u64 {
            // Each refusal leaves it as it was, and a second try goes on.
            if let Err((value, error)) = vec.push(cx, n) {
                assert_eq!((value, error.domain), (n, Domain::Mem));
                assert!(vec.as_slice(cx).iter().copied().eq(0..n));
                return Err(error);
            }
        }
        vec.extend_from_slice(cx, &[1; 100])?;
        vec.truncate(cx, 3);
        vec.shrink_to_fit(cx).inspect_err(|_| assert_eq!(vec.as_slice(cx), [0, 1, 2]))?;
        assert_eq!(vec.as_slice(cx), [0, 1, 2]);
        let mut text = Text::of(cx, "a text")?;
        text.push_str(cx, " and more of it").inspect_err(|_| assert_eq!(text.as_str(cx), "a text"))?;
        text.reserve(cx, 500)?;
        text.release(cx);
        Ok(())
    });
}

#[test]
fn a_map_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        let mut map = Map::new();
        let entries = scaled(30, 5) as u64;
        arm();
        for n in 0..entries {
            if let Err((entry, error)) = map.insert(cx, n, Box::new(cx, n).map_err(|(_, error)| error)?) {
                assert_eq!((entry.0, *entry.1.get(cx)), (n, n));
                assert_eq!(map.len(cx), n as usize);
                assert!((0..n).all(|n| map.get(cx, &n).is_some_and(|value| *value.get(cx) == n)));
                return Err(error);
            }
        }
        for n in 2..entries {
            assert!(map.remove(cx, &n).is_some());
        }
        map.shrink_to_fit(cx).inspect_err(|_| assert!(map.len(cx) == 2 && map.contains_key(cx, &1)))?;
        assert!(map.contains_key(cx, &0) && map.contains_key(cx, &1));
        map.release(cx);
        Ok(())
    });
}

#[test]
fn a_collection_of_others_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        arm();
        let handle = |handle| handle;
        let handle = InHeap::new(cx, handle).map_err(|(_, error)| error)?;
        let mut map = hashbrown::HashMap::new_in(*handle.get(cx));
        for n in 0..scaled(100, 10) as u64 {
            if map.try_reserve(1).is_err() {
                assert!((0..n).all(|n| map.get(&n) == Some(&n)));
                let (domain, requested, cause) = (Domain::Mem, 0, AllocCause::Exhausted);
                return Err(AllocError { domain, requested, cause });
            }
            map.insert(n, n);
        }
        Ok(())
    });
}

#[cfg_attr(miri, ignore = "the suite of containers goes the same ways in Miri, and this one is long")]
#[test]
fn room_in_a_vec_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        arm();
        let mut vec = Vec::with_capacity(cx, 3)?;
        assert_eq!((vec.len(cx), vec.capacity(cx)), (0, 3));
        vec.extend_from_slice(cx, &[1_u32, 2, 3]).expect("there is room");
        // In front, in the middle, at the end, each where there is no room.
        for (index, value) in [(0, 10), (2, 11), (usize::MAX, 12)] {
            let (was, room) = (vec.as_slice(cx).to_vec(), vec.capacity(cx));
            vec.shrink_to_fit(cx).inspect_err(|_| assert_eq!(vec.as_slice(cx), was))?;
            if let Err((back, error)) = vec.insert(cx, index, value) {
                assert_eq!((back, error.domain), (value, Domain::Mem));
                assert_eq!((vec.as_slice(cx), vec.capacity(cx)), (&*was, was.len()), "of {room}");
                return Err(error);
            }
        }
        assert_eq!(vec.as_slice(cx), [10, 1, 11, 2, 3, 12]);
        let room = vec.capacity(cx);
        vec.reserve_exact(cx, 50).inspect_err(|_| assert_eq!((vec.len(cx), vec.capacity(cx)), (6, room)))?;
        assert_eq!(vec.capacity(cx), 56);
        vec.reserve(cx, 100).inspect_err(|_| assert_eq!((vec.len(cx), vec.capacity(cx)), (6, 56)))?;
        vec.extend_from_slice(cx, &[0; 200]).inspect_err(|_| assert_eq!(vec.len(cx), 6))?;
        vec.release(cx);
        Ok(())
    });
}

#[test]
fn values_with_destructors_in_a_vec_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        let mut vec = Vec::new();
        arm();
        for n in 0..scaled(9, 3) {
            let boxed = Box::new(cx, n).map_err(|(_, error)| error)?;
            if let Err((back, error)) = vec.insert(cx, n / 2, boxed) {
                assert_eq!((*back.get(cx), vec.len(cx)), (n, n));
                return Err(error);
            }
        }
        Ok(())
    });
}

#[test]
fn a_text_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        arm();
        let mut text = Text::of(cx, "long enough not to fit into what is left")?;
        let was = text.as_str(cx).to_owned();
        text.shrink_to_fit(cx).inspect_err(|_| assert_eq!(text.as_str(cx), was))?;
        text.push(cx, '\u{1f3dd}').inspect_err(|_| assert_eq!(text.as_str(cx), was))?;
        assert_eq!(text.as_str(cx), was.clone() + "\u{1f3dd}");
        text.truncate(cx, 4);
        text.shrink_to_fit(cx).inspect_err(|_| assert_eq!(text.as_str(cx), "long"))?;
        text.clear(cx);
        text.shrink_to_fit(cx).expect("no block takes no memory");
        Ok(())
    });
}

#[test]
fn a_map_of_texts_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        let mut map = Map::new();
        arm();
        map.reserve(cx, 3).inspect_err(|_| assert!(map.is_empty(cx)))?;
        for n in 0..scaled(20, 2) {
            let (key, value) = (n.to_string(), Rc::new(cx, n).map_err(|(_, error)| error)?);
            let was = value.share(cx);
            if let Err(((name, back), error)) = map.insert(cx, Text::of(cx, &key)?, value) {
                assert!(name.as_str(cx) == key && back.is(&was), "key and value come back");
                assert_eq!((map.len(cx), map.contains_key(cx, &*key)), (n, false));
                return Err(error);
            }
            // What has a place already needs no memory but for its key.
            let old = map.insert(cx, Text::of(cx, &key)?, was).map_err(|(_, error)| error)?;
            assert_eq!(old.map(|old| *old.get(cx)), Some(n));
        }
        map.reserve(cx, scaled(200, 10)).inspect_err(|_| assert!(map.contains_key(cx, "0")))?;
        map.clear(cx);
        map.shrink_to_fit(cx)
    });
}

#[test]
fn what_is_taken_out_needs_no_memory() {
    let rt = archipelago_model::manual().runtime;
    running(&rt);
    let taken = inside(&rt, |cx| {
        let mut vec = Vec::new();
        let mut map = Map::new();
        for n in 0..6_u8 {
            vec.push(cx, Box::new(cx, n).expect("memory")).ok().expect("memory");
            map.insert(cx, n, Box::new(cx, n).expect("memory")).ok().expect("memory");
        }
        let rc = Rc::new(cx, 7).expect("memory");
        Failure(Some(0)).arm(&rt);
        assert_eq!(vec.pop(cx).map(|boxed| boxed.into_inner(cx)), Some(5));
        assert_eq!(vec.remove(cx, 0).map(|boxed| boxed.into_inner(cx)), Some(0));
        assert_eq!(vec.swap_remove(cx, 0).map(|boxed| boxed.into_inner(cx)), Some(1));
        vec.truncate(cx, 1);
        assert_eq!(map.remove(cx, &3).map(|boxed| boxed.into_inner(cx)), Some(3));
        assert_eq!(map.remove_entry(cx, &4).map(|(key, boxed)| (key, boxed.into_inner(cx))), Some((4, 4)));
        let (taken, rest) = (map.take(), vec.take());
        assert!(map.is_empty(cx) && vec.is_empty(cx));
        assert_eq!((taken.len(cx), rest.len(cx)), (4, 1));
        let shared = rc.share(cx);
        rc.release(cx);
        assert_eq!(shared.into_inner(cx).ok(), Some(7));
        taken.release(cx);
        drop(rest);
        cx.settle();
        assert_eq!((cx.usage().mem.blocks, cx.usage().object.blocks), (0, 0));
        Ok(())
    });
    assert_eq!(taken, Ok(()));
    assert!(!Failure::disarm(&rt), "nothing asked");
}
