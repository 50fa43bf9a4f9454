//! `sim`: simulated NICs for the guests of QEMU, each behind a socket.

use crate::args::Sim;
use crate::failure::Failure;
use crate::output::Report;
use crate::stop::Stop;
use crate::table::Table;
use igb_sim::{Device, DeviceSpec};
use igb_vfio_user::{Server, Space};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a signal to end is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// `sim`.
pub(crate) fn sim(options: &Sim, json: bool) -> Result<Report, Failure> {
    let sockets = &options.serve;
    if ![1, sockets.len()].contains(&options.chip.len()) {
        let (chips, sockets) = (options.chip.len(), sockets.len());
        return Err(Failure::Usage(format!(
            "{chips} chips for {sockets} sockets: give one --chip, or one for each"
        )));
    }
    let stop = Stop::listen();
    let mut server = Server::new();
    let mut devices = Vec::new();
    for (index, path) in sockets.iter().enumerate() {
        let spec = DeviceSpec::new(options.chip[index % options.chip.len()]);
        let device =
            server.listen(spec, path).map_err(|error| Failure::Serve { path: path.clone(), error })?;
        options.fault.iter().for_each(|fault| device.inject(*fault));
        devices.push(device);
    }
    for pair in devices.chunks_exact(2) {
        server.world().wire(&pair[0], &pair[1]);
    }
    if options.laboratory {
        server.laboratory();
    }
    let trace = options.trace.as_deref().map(|path| trace(&mut server, path, &devices)).transpose()?;
    let failed = |error| Failure::Serve { path: sockets[0].clone(), error };
    let serving = server.start().map_err(failed)?;
    ready(json);
    while !stop.is_set() && !serving.is_broken() {
        std::thread::sleep(LOOK);
    }
    let summaries = serving.stop().map_err(failed)?;
    if let (Some(trace), Some(path)) = (trace, &options.trace) {
        let written = trace.lock().unwrap_or_else(PoisonError::into_inner).flush();
        written.map_err(|error| Failure::file(path, error))?;
    }

    let mut table = Table::new([
        "socket",
        "chip",
        "clients",
        "messages",
        "refused",
        "frames in",
        "frames out",
        "rules broken",
    ]);
    let mut list = Vec::new();
    for ((path, device), summary) in sockets.iter().zip(&devices).zip(summaries) {
        let (counters, violations) = (device.counters(), device.violations());
        table.row([
            path.display().to_string(),
            device.chip().to_string(),
            summary.clients.to_string(),
            summary.messages.to_string(),
            (summary.refused + summary.lost).to_string(),
            counters.rx_frames().to_string(),
            counters.tx_frames().to_string(),
            violations.len().to_string(),
        ]);
        list.push(json!({
            "socket": path,
            "chip": device.chip().name(),
            "clients": summary.clients,
            "messages": summary.messages,
            "refused": summary.refused,
            "lost": summary.lost,
            "rx_frames": counters.rx_frames(),
            "tx_frames": counters.tx_frames(),
            "dma_faults": device.dma_faults(),
            "violations": violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }));
    }
    Ok(Report::new(table.render(0), json!({ "devices": list })).failing(stop.failure()))
}

/// Whoever started this waits for the word; with `--json` standard output is for the answer.
fn ready(json: bool) {
    let _ = if json { writeln!(std::io::stderr(), "ready") } else { writeln!(std::io::stdout(), "ready") };
}

/// One line an access: seconds, port, read or write, register or `config`, offset, value.
fn trace(
    server: &mut Server,
    path: &Path,
    devices: &[Device],
) -> Result<Arc<Mutex<BufWriter<File>>>, Failure> {
    let file = File::create(path).map_err(|error| Failure::file(path, error))?;
    let file = Arc::new(Mutex::new(BufWriter::new(file)));
    let (out, devices, begun) = (file.clone(), devices.to_vec(), Instant::now());
    server.observe(move |access| {
        let name = match access.space {
            Space::Bar => devices[access.port].register_name(access.offset),
            _ => "config".into(),
        };
        let verb = if access.write { 'w' } else { 'r' };
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not stop the guest; the flush at the end tells.
        let _ = writeln!(
            out,
            "{:.6} p{} {verb} {name} {:#07x} {:#010x}",
            begun.elapsed().as_secs_f64(),
            access.port,
            access.offset,
            access.value
        );
    });
    Ok(file)
}
