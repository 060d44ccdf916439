//! Room for sockets: every connection is an open file, and systems start programs with room for 1024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises this process's limit of open files towards `wanted`, as far as the system lets it. Returns the limit then.
///
/// # Errors
/// When the system does not tell the limit, or refuses to raise it at all.
pub fn raise(wanted: u64) -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = wanted.min(hard);
    if soft >= raised {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
    Ok(raised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_never_sinks_and_never_exceeds_what_the_system_allows() {
        let before = raise(0).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let after = raise(u64::MAX).unwrap();
        assert!(after >= before);
        assert_eq!(after, hard);
    }
}
