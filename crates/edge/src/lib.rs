//! Sockets: accept, TLS, HTTP, forwarding, and the operators' listener.
