//! `portcullis plugin bench`: asks a plugin about the requests of a file again and again, and tells what a call costs. Each
//! request is a call: no decision is reused, and nothing turns calls away.

use std::error::Error;
use std::io;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use bytesize::ByteSize;
use clap::Args;
use portcullis::Component;
use portcullis::Limits;
use portcullis_loader::AskedPlugin;
use portcullis_loader::cases::Play;
use portcullis_loader::cases::answer;
use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::cli::ConfigFile;
use crate::cli::plugin_test;
use crate::cli::plugin_test::report::line;
use crate::config::Case;
use crate::config::CasesFile;
use crate::config::ConfigErrors;
use crate::generation::Warning;
use crate::generation::build_alone;

/// Arguments of `plugin bench`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, the name of a built-in plugin, or a reference
    #[arg(value_name = "FILE.wasm|NAME|REFERENCE")]
    plugin: PathBuf,
    /// A file of `plugin test`. What its cases expect doesn't matter here
    #[arg(value_name = "CASES.toml")]
    cases: PathBuf,
    /// How many calls are measured for each case
    #[arg(long, value_name = "NUMBER", default_value_t = NonZero::<u32>::MIN.saturating_add(999))]
    calls: NonZero<u32>,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the calls for one case cost.
struct Costs {
    name: String,
    verdict: &'static str,
    /// The times of all calls, from the shortest to the longest.
    times: Vec<Duration>,
    /// The time from the first to the last.
    elapsed: Duration,
    /// The time of processors that the process took meanwhile.
    processor: Duration,
    /// The most memory of an instance, in bytes.
    memory: usize,
}

/// Measures all cases, first with instances that each call configures, then with copies of a configured one, and then with
/// instances that are kept, if the file says so.
pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (component, mut file) = plugin_test::read(&arguments.plugin, &arguments.cases, &arguments.config).await?;
    file.plugin.limits = Limits {
        rate: None,
        breaker: None,
        reuse_decisions: Duration::ZERO,
        ..file.plugin.limits
    };
    let kept = file.plugin.instances.take();
    // Those of the cases aren't played, because all cases have one authenticator.
    let play = Play::of(&file.servers);
    file.plugin.outbound = Play::applied(play.as_ref(), &file.plugin.outbound);
    writeln!(output, "each call configures an instance:")?;
    let (authenticator, _) = build(&file, &component).await?;
    measure(&authenticator, &file.cases, arguments.calls, output).await?;
    authenticator.retire();
    let (authenticator, _) = build(&file, &component).await?;
    let copied = {
        let authenticator = authenticator.clone();
        tokio::task::spawn_blocking(move || authenticator.copy_configured()).await?
    };
    match copied {
        Ok(_) => {
            writeln!(output, "each call begins with a copy of a configured instance:")?;
            measure(&authenticator, &file.cases, arguments.calls, output).await?;
        }
        Err(why) => line(
            output,
            "",
            format_args!("there is no copy of a configured instance: {why}"),
        )?,
    }
    authenticator.retire();
    if kept.is_some() {
        file.plugin.instances = kept;
        writeln!(output, "calls share instances that are kept:")?;
        let (authenticator, _) = build(&file, &component).await?;
        measure(&authenticator, &file.cases, arguments.calls, output).await?;
    }
    Ok(())
}

async fn build(file: &CasesFile, component: &Component) -> Result<(AskedPlugin, Vec<Warning>), ConfigErrors> {
    let built = build_alone(&file.plugin, component).await;
    built.map_err(ConfigErrors::new)
}

async fn measure(
    plugin: &AskedPlugin,
    cases: &[Case],
    calls: NonZero<u32>,
    output: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    writeln!(
        output,
        "  calls/s    cpu µs    p50 µs    p90 µs    p99 µs    max µs     memory  case"
    )?;
    for case in cases {
        costs(plugin, case, calls).await.write(output)?;
    }
    Ok(())
}

/// How many calls come before those that are measured, for the caches of the processor and the allocator.
const WARM_UP: u32 = 20;

async fn costs(plugin: &AskedPlugin, case: &Case, calls: NonZero<u32>) -> Costs {
    let ask = || answer(plugin, &case.request, case.user.as_ref());
    let mut answered = ask().await;
    for _ in 1..WARM_UP {
        answered = ask().await;
    }
    let mut times = Vec::with_capacity(calls.get() as usize);
    let (start, before) = (Instant::now(), processor_time());
    let mut memory = 0;
    for _ in 0..calls.get() {
        answered = ask().await;
        memory = memory.max(answered.memory);
        times.push(answered.elapsed);
    }
    let (elapsed, processor) = (start.elapsed(), processor_time().saturating_sub(before));
    times.sort_unstable();
    Costs {
        name: case.name.clone(),
        verdict: answered.verdict,
        times,
        elapsed,
        processor,
        memory,
    }
}

/// The time of processors that this process has taken.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

impl Costs {
    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let calls = self.times.len().max(1) as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let text = format!(
            "{:9.0} {:9.0} {:9.0} {:9.0} {:9.0} {:9.0} {:>10}  {} ({})",
            calls / self.elapsed.as_secs_f64().max(f64::EPSILON),
            micros(self.processor) / calls,
            micros(self.percentile(50)),
            micros(self.percentile(90)),
            micros(self.percentile(99)),
            micros(self.percentile(100)),
            ByteSize::b(self.memory as u64).display().iec().to_string(),
            self.name,
            self.verdict,
        );
        writeln!(output, "{}", text.replace(char::is_control, " "))
    }

    /// The time within which this many of a hundred calls are done (nearest rank).
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        self.times.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let costs = |count: u64| Costs {
            name: String::new(),
            verdict: "",
            times: (1..=count).map(Duration::from_micros).collect(),
            elapsed: Duration::ZERO,
            processor: Duration::ZERO,
            memory: 0,
        };
        for (count, percent, expected) in [
            (1, 50, 1),
            (100, 50, 50),
            (100, 99, 99),
            (100, 100, 100),
            (1000, 99, 990),
            (3, 50, 2),
        ] {
            let found = costs(count).percentile(percent);
            assert_eq!(found, Duration::from_micros(expected), "{percent} of {count}");
        }
        assert_eq!(costs(0).percentile(50), Duration::ZERO);
    }
}
