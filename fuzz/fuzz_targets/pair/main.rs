//! A client's machine connected with a server's by two queues of bytes. The fuzzer chooses what is asked and answered,
//! and who moves when and by how much; whatever it chooses, what one sends the other reads back equal, neither ever finds
//! fault with the other, nothing gets stuck, and the exchanges that nobody cuts short are complete.
//!
//! `script.rs` is what the fuzzer says, `world.rs` who acts on it, `pipe.rs` what lies between.

#![no_main]

mod pipe;
mod script;
mod world;

use antiphon_core::h1::{ClientConfig, ServerConfig};
use libfuzzer_sys::fuzz_target;
use script::{Input, ROUND};
use world::World;

fuzz_target!(|input: Input<'_>| {
    if input.exchanges.len() > 8 {
        return;
    }
    let mut client = ClientConfig::default();
    let mut server = ServerConfig::default();
    if input.small {
        for limits in [&mut client.limits, &mut server.limits] {
            limits.recv_buffer = 16;
            limits.recv_buffer_max = 64;
            // Room for the largest piece that is copied, as one chunk.
            limits.send_buffer = 300;
        }
    }
    let mut world = World::new(&input.exchanges, client, server);
    for step in input.steps.iter().take(2_000) {
        world.step(*step);
    }
    let mut quiet = 0;
    for _ in 0..1_000_000 {
        let mut moved = false;
        for step in ROUND {
            moved |= world.step(step);
        }
        quiet = if moved { 0 } else { quiet + 1 };
        // To be told nothing may make room for more, so one quiet round is not the end.
        if quiet == 2 {
            quiet = 0;
            if !world.wait() {
                world.check_end();
                return;
            }
        }
    }
    panic!("no end in sight");
});
