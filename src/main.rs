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

    /// The variable that sets how long mimalloc keeps unused memory, in milliseconds.
    const DELAY: &str = "MIMALLOC_PURGE_DELAY";

    /// Restarts the process so that it returns free memory at once. With mimalloc's default delay
    /// of a second, a few large requests take twice the memory they need, and nothing gets faster.
    ///
    /// mimalloc reads its settings from the environment before `main`. The process therefore starts
    /// itself again with this setting, unless it is set already. If that fails, it continues as it
    /// is.
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
            // This call returns only if it failed.
            let _ = Command::new(program).arg0(name).args(arguments).env(DELAY, "0").exec();
        }
    }
}
