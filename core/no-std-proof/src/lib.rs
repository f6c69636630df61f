//! One exchange over each connection machine, in a static library that has no std: it brings its own panic
//! handler, and a second one (std's, if anything pulled it in) is a compile error. That it links shows that
//! the core asks for nothing but an allocator.
//!
//! This is the one place of the repository with `unsafe`: a global allocator cannot be written without it. It
//! is no part of any library.
#![no_std]

extern crate alloc;

use alloc::sync::Arc;
use antiphon_core::h1::{
    BodyLen, ClientConfig, ClientConn, ClientEvent, ServerConfig, ServerConn, ServerEvent,
};
use antiphon_core::{Field, Fields, Instant, Status};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The toolchain's own build of `alloc` can unwind and so names std's personality function. Nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Hands out a fixed stretch of memory from its end to its beginning and takes nothing back.
struct Bump {
    memory: core::cell::UnsafeCell<[u8; Bump::SIZE]>,
    left: AtomicUsize,
}

impl Bump {
    const SIZE: usize = 1 << 20;
}

// SAFETY: `memory` is only handed out in disjoint parts, which `left` keeps apart atomically.
unsafe impl Sync for Bump {}

// SAFETY: every part lies within `memory`, is aligned as asked, and is handed out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let mut at = 0;
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                let address = (base as usize + left).checked_sub(layout.size())? & !(layout.align() - 1);
                at = address.checked_sub(base as usize)?;
                Some(at)
            });
        match taken {
            // SAFETY: `at` is below `SIZE`.
            Ok(_) => unsafe { base.add(at) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Bump = Bump {
    memory: core::cell::UnsafeCell::new([0; Bump::SIZE]),
    left: AtomicUsize::new(Bump::SIZE),
};

/// A client's request goes to a server, its answer comes back. Returns the status, 0 if anything went wrong.
#[unsafe(no_mangle)]
pub extern "C" fn antiphon_no_std_exchange() -> u16 {
    exchange().unwrap_or(0)
}

fn exchange() -> Option<u16> {
    const HOST: [Field<'static>; 1] = [Field::from_static("host", "example.com")];
    let now = Instant::ZERO;
    let mut client = ClientConn::new(Arc::new(ClientConfig::default()), now);
    let mut server = ServerConn::new(Arc::new(ServerConfig::default()), now);

    client.send_request("GET", "/", &HOST, BodyLen::None).ok()?;
    let n = server.received_copy(client.outgoing().first(), now);
    client.sent(n as u64, now).ok()?;
    while let Ok(Some(event)) = server.next_event() {
        if let ServerEvent::Request { id, .. } = event {
            server
                .send_head(id, Status::OK, &Fields::EMPTY, BodyLen::Known(2))
                .ok()?;
            server.send_body_copy(id, b"ok").ok()?;
            server.finish(id, &Fields::EMPTY).ok()?;
        }
    }
    let n = client.received_copy(server.outgoing().first(), now);
    server.sent(n as u64, now).ok()?;
    let mut status = None;
    while let Ok(Some(event)) = client.next_event() {
        match event {
            ClientEvent::Response { id, .. } => status = Some(client.head(id).ok()?.status().code()),
            ClientEvent::Body { .. } => client.consume(client.body().len()).ok()?,
            _ => {}
        }
    }
    status
}
