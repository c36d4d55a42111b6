//! PostgreSQL's `numeric` on the wire: groups of four decimal digits. Ours are whole numbers with a scale of at most 18.

use bytes::{BufMut, BytesMut};
use fourfold_model::Decimal;

const NEGATIVE: u16 = 0x4000;
/// Groups that the digits of ours can take: 19 digits, on both sides of the point.
const GROUPS_MAX: usize = 16;

/// Writes a number with its scale.
pub fn put(out: &mut BytesMut, decimal: Decimal) {
    let scale = u32::from(decimal.scale);
    // So many zeros fill the last group after the point.
    let pad = (4 - scale % 4) % 4;
    let mut rest = u128::from(decimal.unscaled.unsigned_abs()) * 10u128.pow(pad);
    let after = scale.div_ceil(4) as i16;
    let mut groups = [0i16; GROUPS_MAX];
    let mut count = 0;
    while rest > 0 && count < GROUPS_MAX {
        groups[count] = (rest % 10_000) as i16;
        rest /= 10_000;
        count += 1;
    }
    let weight = count as i16 - 1 - after;
    // Zeros at the end are not sent.
    let trailing = groups[..count].iter().take_while(|group| **group == 0).count();
    out.put_i16((count - trailing) as i16);
    out.put_i16(weight);
    out.put_u16(if decimal.unscaled < 0 { NEGATIVE } else { 0 });
    out.put_i16(scale as i16);
    for group in groups[trailing..count].iter().rev() {
        out.put_i16(*group);
    }
}

/// Reads a number as digits at a scale; `None` where it does not fit, has more digits after the point, or is no number.
pub fn take(raw: &[u8], scale: u8) -> Option<i64> {
    let word = |index: usize| raw.get(index * 2..index * 2 + 2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]));
    let (count, weight, sign) = (word(0)?, i32::from(word(1)?), word(2)?.cast_unsigned());
    if sign != 0 && sign != NEGATIVE {
        return None;
    }
    let mut sum: i128 = 0;
    for index in 0..usize::try_from(count).ok()? {
        let group = i128::from(word(4 + index)?);
        let power = (weight - i32::try_from(index).ok()?) * 4 + i32::from(scale);
        sum = sum.checked_add(shifted(group, power)?)?;
    }
    i64::try_from(if sign == NEGATIVE { -sum } else { sum }).ok()
}

/// A group times a power of ten, where nothing is lost.
fn shifted(group: i128, power: i32) -> Option<i128> {
    if group == 0 {
        return Some(0);
    }
    match u32::try_from(power) {
        Ok(power) => group.checked_mul(10i128.checked_pow(power)?),
        Err(_) => {
            let by = 10i128.checked_pow(power.unsigned_abs())?;
            (group % by == 0).then_some(group / by)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn written(unscaled: i64, scale: u8) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(&mut out, Decimal { unscaled, scale });
        out.to_vec()
    }

    #[test]
    fn numbers_are_read_back_as_they_were_written() {
        for unscaled in [0, 1, -1, 9_999, 10_000, 123_456_789, -10_000_000, i64::MAX, i64::MIN, 100_000_000_000_000_000] {
            for scale in 0..=18 {
                assert_eq!(take(&written(unscaled, scale), scale), Some(unscaled), "{unscaled} at {scale}");
            }
        }
    }

    #[test]
    fn a_number_has_the_servers_own_form() {
        // 12345.678: three groups, of which the first is worth 10000.
        assert_eq!(written(12_345_678, 3), [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
        assert_eq!(written(-5, 0), [0, 1, 0, 0, 0x40, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert_eq!(take(&written(1_234, 2), 1), None, "a digit would be lost");
        assert_eq!(take(&written(1_230, 2), 1), Some(123));
        assert_eq!(take(&written(i64::MAX, 0), 1), None);
        assert_eq!(take(&[0, 0, 0, 0, 0xc0, 0, 0, 0], 0), None, "not a number");
        assert_eq!(take(&[0, 1], 0), None);
    }
}
