//! Prefetch of memory that an append will need.
//!
//! An append to a series waits for memory several times: for its state, then for the end of its
//! chunk. Requested some series ahead, these lines arrive while other series are appended to.

/// Size of a cache line, bytes.
const LINE: usize = 64;

/// Requests the cache lines from the one at `start` to the one of the last of `len` bytes. Changes
/// nothing but the time of a later access; does nothing on processors other than x86-64. The
/// address may be any.
#[inline]
pub fn prefetch<T>(start: *const T, len: usize) {
    let start = start.cast::<u8>();
    let first = start.addr() % LINE;
    for offset in (0..first + len).step_by(LINE) {
        prefetch_line(start.wrapping_add(offset));
    }
}

#[inline]
#[allow(unsafe_code)]
fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint. It returns no value and faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::prefetch;
    use std::ptr::{null, without_provenance};

    #[test]
    fn any_address_can_be_prefetched() {
        prefetch(&[0_u8; 300], 300);
        prefetch(null::<u64>(), 0);
        prefetch(null::<u64>(), 4096);
        prefetch(without_provenance::<u8>(usize::MAX), 1000);
    }
}
