//! The memory of frigate's own arguments, which `/proc/PID/cmdline` shows to every user.
//!
//! # Safety
//!
//! The kernel puts the strings of `argv` into the memory of a new process, one behind the other, and
//! that memory is writable and never unmapped (`execve(2)`, `proc_pid_cmdline(5)`). Nothing reads
//! these strings after `ArgumentArea::new`, by the duty of its caller.
#![expect(unsafe_code, reason = "writes to the memory of the arguments")]

use core::ffi::CStr;
use core::sync::atomic::{Ordering, fence};

use super::startup::CStrings;

/// The memory from the first byte of the first argument to the null byte of the last one.
pub(crate) struct ArgumentArea {
    start: *mut u8,
    /// At least 1.
    length: usize,
    /// From here on all bytes are zero.
    zeros_from: usize,
}

impl ArgumentArea {
    /// Takes over the memory of the arguments. `None` means that there is none, or that the arguments
    /// do not lie one behind the other: another program may have moved them.
    ///
    /// # Safety
    ///
    /// `argv` is what `main` is given, and nothing reads its strings from now on.
    pub(crate) unsafe fn new(argv: CStrings) -> Option<Self> {
        let mut area: Option<Self> = None;
        for string in argv.pointers() {
            // SAFETY: a C string, by the duty of `CStrings::new`.
            let length = unsafe { CStr::from_ptr(string) }.to_bytes_with_nul().len();
            match &mut area {
                None => {
                    area = Some(Self {
                        start: string.cast_mut().cast(),
                        length,
                        zeros_from: length,
                    });
                }
                Some(area) if area.start.wrapping_add(area.length) == string.cast_mut().cast() => {
                    area.length += length;
                    area.zeros_from = area.length;
                }
                Some(_) => return None,
            }
        }
        area
    }

    /// How many bytes of text fit. The last byte of the area stays zero: if it is not, the kernel
    /// takes the text for longer than the area, and shows the environment behind it.
    pub(crate) const fn capacity(&self) -> usize {
        self.length - 1
    }

    /// Replaces the arguments by this text, which does not begin or end with a null byte. What does not
    /// fit is cut off. Makes no system call.
    ///
    /// The first byte is zero while the rest is being written. Another process that reads the area
    /// twice, and finds the same text with another first byte both times, has not read half of it.
    pub(crate) fn show(&mut self, text: &[u8]) {
        let text = text.get(..self.capacity()).unwrap_or(text);
        let Some((first, rest)) = text.split_first() else {
            return;
        };
        self.put(0, 0);
        fence(Ordering::SeqCst);
        for (at, byte) in (1..).zip(rest) {
            self.put(at, *byte);
        }
        for at in text.len()..self.zeros_from {
            self.put(at, 0);
        }
        self.zeros_from = text.len();
        fence(Ordering::SeqCst);
        self.put(0, *first);
    }

    fn put(&mut self, at: usize, byte: u8) {
        debug_assert!(at < self.length, "beyond the arguments");
        // SAFETY: `show` stays below `length`, so that the byte is part of the arguments, which are
        // writable, and which nothing else in this process reads.
        unsafe { self.start.wrapping_add(at).write_volatile(byte) };
    }
}

#[cfg(test)]
#[path = "argument_area_tests.rs"]
mod tests;
