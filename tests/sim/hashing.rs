//! Hash maps in the same order in every run.
//!
//! str0m keeps its streams in the standard library's hash maps and serves equal ones in their order, which is random: two
//! runs of one conference would part within a second. The keys of a thread's hash maps come from `getrandom`, once; this
//! program has its own, which gives those threads always the same bytes that ask for it.

#![expect(
    unsafe_code,
    reason = "a function of the C library is replaced, for this test program alone"
)]

use std::cell::Cell;
use std::fs::File;
use std::io::Read;

thread_local! {
    static IS_FIXED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` in a thread in which every hash map has the keys that it has in every other run of `f`.
pub fn with_fixed_order<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        IS_FIXED.set(true);
        // The keys are drawn with the first map.
        drop(std::collections::HashMap::<u8, u8>::new());
        IS_FIXED.set(false);
        f()
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The C library's, but for threads that are to be the same.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller's promise, which is that of getrandom(2).
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    if IS_FIXED.get() {
        bytes.fill(0x5e);
    } else if File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(bytes))
        .is_err()
    {
        return -1;
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

#[test]
fn hash_maps_of_two_threads_are_in_the_same_order() {
    let order = || {
        let map: std::collections::HashMap<u32, ()> = (0..100).map(|at| (at, ())).collect();
        map.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(with_fixed_order(order), with_fixed_order(order));
    assert_ne!(order(), with_fixed_order(order));
}
