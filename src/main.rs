//! Binary `narthex`.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "testing")]
    narthex::testing::fail_points::arm_from_env().expect("valid fail points");
    narthex::app::command_line::run()
}
