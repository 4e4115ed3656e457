//! What an agent costs that has nothing to do: it looks at its machine once a second.

use std::time::Duration;

use flota_client::Failure;

use super::{Bench, fleet::Fleet, report::Report};

/// From its start until it has come to rest.
const REST: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(30);

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    fleet.start_server().await?;
    fleet.start_agents().await?;
    let cost = fleet.idle(REST, MEASURED).await?;
    let report = Report::new(bench.name).with("agents", bench.agents);
    Ok(vec![cost.in_report(report)])
}
