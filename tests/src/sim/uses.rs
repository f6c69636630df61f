//! [`Use`]: what the worlds of the bare machines made use of beyond plain exchanges, and [`Uses`], how often.

counted! {
    /// Something that a world made use of. Counted when it is really done.
    Use,
    /// How often each of them was done.
    Uses;

    /// A request was written before the answer to the one before it had come.
    Pipelined = "requests pipelined",
    /// A request behind one whose answer closed the connection: it was not executed, and sent again.
    Requeued = "requests sent again after an announced close",
    /// Bytes were written right behind a request that proposes another protocol.
    BehindSwitch = "bytes written behind a proposed switch",
    /// A machine handed on bytes that it had read behind a switch.
    HandedOn = "bytes handed on at a switch",
    /// An HTTP/1.0 request was made.
    OldRequest = "HTTP/1.0 requests",
    /// ... and its connection took another one.
    OldKeptAlive = "HTTP/1.0 connections kept alive",
    /// An HTTP/1.0 response was given.
    OldResponse = "HTTP/1.0 responses",
    /// A response's body ended with its connection.
    UntilClose = "bodies that end with the connection",
    /// An external body was announced by a client.
    ClientExternal = "external bodies of clients",
    /// ... by a server.
    ServerExternal = "external bodies of servers",
    /// A client's driver read body bytes past its machine.
    ClientDirect = "direct reads of clients",
    /// A server's driver did.
    ServerDirect = "direct reads of servers",
}
