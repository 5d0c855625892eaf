//! Numbers as options and the kernel's files write them: digits alone, without sign or blank.

/// Parses digits. `None` means that the text is empty, has another character, or is too large a
/// number.
pub(crate) fn parse_number<T: TryFrom<u64>>(digits: impl AsRef<[u8]>) -> Option<T> {
    T::try_from(value_of(digits.as_ref())?).ok()
}

fn value_of(digits: &[u8]) -> Option<u64> {
    let mut value = None;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = Some(
            value
                .unwrap_or(0_u64)
                .checked_mul(10)?
                .checked_add(digit.into())?,
        );
    }
    value
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn a_number_is_digits_that_fit() {
        let table: [(&[u8], Option<u64>); 10] = [
            (b"0", Some(0)),
            (b"007", Some(7)),
            (b"4242", Some(4242)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"self", None),
            (b"1 ", None),
        ];
        for (digits, expected) in table {
            assert_eq!(
                parse_number(digits),
                expected,
                "{}",
                String::from_utf8_lossy(digits)
            );
        }
        assert_eq!(
            (parse_number::<u8>(b"255"), parse_number::<u8>(b"256")),
            (Some(255), None)
        );
        assert_eq!(
            (
                parse_number::<i32>(b"2147483647"),
                parse_number::<i32>(b"2147483648")
            ),
            (Some(i32::MAX), None)
        );
    }
}
