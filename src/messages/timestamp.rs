//! Points in time as log collectors read them.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

/// Writes RFC 3339 in UTC to the millisecond: `2026-03-01T12:00:00.250Z`.
pub(crate) fn write((seconds, nanos): (i64, u32), out: &mut impl Write) -> fmt::Result {
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let of_second = i64::from(nanos / 1_000_000);
    // Each number with the value of its first digit, and what follows it. The standard library's
    // formatter would take half a kilobyte more.
    let all = [
        (year, 1000, '-'),
        (month, 10, '-'),
        (day, 10, 'T'),
        (hour, 10, ':'),
        (minute, 10, ':'),
        (second, 10, '.'),
        (of_second, 100, 'Z'),
    ];
    for (number, first, end) in all {
        let mut place = first;
        while place > 0 {
            let digit = u8::try_from(number / place % 10).unwrap_or_default();
            out.write_char(char::from(b'0' + digit))?;
            place /= 10;
        }
        out.write_char(end)?;
    }
    Ok(())
}

/// Returns the Gregorian date of a day that is counted from 1970-01-01. Years begin in March here,
/// so that the leap day is the last of its year, and come in eras of 400 years, which all have
/// 146,097 days.
fn civil_date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
}
