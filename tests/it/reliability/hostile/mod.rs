//! What nobody who means well would send: the answer is clear, the process stays up, and nothing of
//! what is secret or personal gets out.

mod abandoned;
mod canaries;
mod doors;
mod memory;
mod shapes;
mod slow;
