//! The `hubferry` binary.

use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(all(feature = "mimalloc", unix))]
    allocator::give_back_at_once();
    hubferry::cli::run()
}

#[cfg(all(feature = "mimalloc", unix))]
mod allocator {
    use std::env;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    /// How long mimalloc keeps memory that nobody uses, in milliseconds.
    const DELAY: &str = "MIMALLOC_PURGE_DELAY";

    /// A server gives memory back as soon as it is free: with mimalloc's own delay of a second, a few
    /// large requests take twice what they need, and it is no faster for it.
    ///
    /// mimalloc reads its settings from the environment, before `main`. So the process starts once more
    /// with this one, unless somebody has set it; where it cannot, it goes on as it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "the allocator's setting, which config cannot make"
    )]
    pub(super) fn give_back_at_once() {
        let mut arguments = env::args_os();
        let Some(name) = arguments.next() else { return };
        let arguments: Vec<_> = arguments.collect();
        let serves = arguments.first().is_some_and(|first| first == "serve");
        if !serves || env::var_os(DELAY).is_some() {
            return;
        }
        if let Ok(program) = env::current_exe() {
            // It answers only where it has failed.
            let _ = Command::new(program).arg0(name).args(arguments).env(DELAY, "0").exec();
        }
    }
}
