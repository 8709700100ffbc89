//! The frame around a record: `length checksum json newline`, so that a torn tail shows.
//!
//! Both numbers are eight hexadecimal digits, so that the file can still be read by eye. Pure.

/// Bytes before the JSON: two numbers and two blanks.
const HEAD: usize = 18;

/// Puts a frame around one line of JSON.
pub(super) fn encode(json: &[u8]) -> Vec<u8> {
    let mut line = format!("{:08x} {:08x} ", json.len(), crc32fast::hash(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// The first whole frame of `bytes`: its JSON, and the length of the frame. `None` at the end and
/// where the rest is torn.
pub(super) fn decode(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let length = usize::try_from(number(bytes.get(..9)?)?).ok()?;
    let checksum = number(bytes.get(9..HEAD)?)?;
    let json = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    let whole =
        bytes.get(HEAD + length) == Some(&b'\n') && u64::from(crc32fast::hash(json)) == checksum;
    whole.then_some((json, HEAD + length + 1))
}

/// Eight hexadecimal digits and a blank.
fn number(field: &[u8]) -> Option<u64> {
    let digits = field.strip_suffix(b" ")?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_every_cut_is_noticed() {
        let line = encode(b"{\"a\":1}");
        assert_eq!(decode(&line), Some((&b"{\"a\":1}"[..], line.len())));
        for cut in 0..line.len() {
            assert_eq!(decode(&line[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let line = encode(b"{\"a\":1}");
        for at in 0..line.len() {
            let mut damaged = line.clone();
            damaged[at] ^= 1;
            // a hexadecimal digit may flip its case only by bit 5, not by bit 0
            assert_eq!(decode(&damaged), None, "byte {at}");
        }
    }
}
