//! Wires the function to the Lambda runtime.

/// Zeroes what is freed: the initial password is in buffers of the SDK and of the mail's composition that nothing else can
/// reach.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run(email_dispatch::start).await
}
