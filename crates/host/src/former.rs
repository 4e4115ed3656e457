//! Variables of the environment that older systems read.

use flota_client::Screen;
use flota_wire::hpc::job::FORMER_NAMES;

use crate::context::Context;

/// Says for each of them that is set what takes its place: whoever set it expects that it does something.
pub fn tell_former_names(context: &Context, screen: &mut Screen) {
    for (former, now) in FORMER_NAMES {
        if context.environment.get(former).is_some() {
            screen.tell(&context.language.former_name(former, now));
        }
    }
}
