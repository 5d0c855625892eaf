#![expect(
    unsafe_code,
    reason = "makes an array of arguments, as the kernel does"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says that it failed by panicking"
)]

use core::ffi::c_char;

use super::*;

/// Words as the kernel lays them out, with the environment behind them.
struct Memory {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    pointers: Vec<*const c_char>,
}

const ENVIRONMENT: &[u8] = b"PATH=/bin\0";

impl Memory {
    fn new(words: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for word in words {
            starts.push(bytes.len());
            bytes.extend_from_slice(word);
            bytes.push(0);
        }
        bytes.extend_from_slice(ENVIRONMENT);
        Self {
            bytes,
            starts,
            pointers: Vec::new(),
        }
    }

    fn area(&mut self) -> Option<ArgumentArea> {
        let start = self.bytes.as_mut_ptr();
        self.pointers = self
            .starts
            .iter()
            .map(|at| start.wrapping_add(*at).cast_const().cast())
            .collect();
        self.pointers.push(core::ptr::null());
        // SAFETY: the array and its strings live as long as the test.
        let argv = unsafe { CStrings::new(self.pointers.as_ptr()) };
        // SAFETY: nothing else reads the strings.
        unsafe { ArgumentArea::new(argv) }
    }
}

#[test]
fn a_text_replaces_the_arguments_and_nothing_behind_them() {
    let mut memory = Memory::new(&[b"/frigate", b"", b"--", b"nginx"]);
    let mut area = memory.area().expect("the words are contiguous");
    assert_eq!(area.capacity(), 18);
    area.show(b"a text");
    area.show(b"a longer text");
    area.show(b"short");
    let expected = [b"short".as_slice(), &[0; 14], ENVIRONMENT].concat();
    assert_eq!(memory.bytes, expected);
}

#[test]
fn a_text_is_cut_so_that_the_last_byte_stays_zero() {
    let table: [&[&[u8]]; 3] = [&[b"frigate"], &[b"f", b"x"], &[b""]];
    for words in table {
        let mut memory = Memory::new(words);
        let length = memory.bytes.len() - ENVIRONMENT.len();
        let mut area = memory.area().expect("the words are contiguous");
        area.show(&b"frigate: up healthy 2 nginx"[..length - 1]);
        area.show(b"frigate: up healthy 2 nginx");
        let text = &b"frigate: up healthy 2 nginx"[..length - 1];
        assert_eq!(memory.bytes, [text, b"\0", ENVIRONMENT].concat());
    }
}

#[test]
fn arguments_that_were_moved_are_left_alone() {
    let mut memory = Memory::new(&[b"frigate", b"--", b"nginx"]);
    memory.starts.swap(1, 2);
    assert!(memory.area().is_none());
    let mut memory = Memory::new(&[b"frigate", b"--", b"nginx"]);
    memory.starts.remove(1);
    assert!(memory.area().is_none());
    assert!(Memory::new(&[]).area().is_none());
}
