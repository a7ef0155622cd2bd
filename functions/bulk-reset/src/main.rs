//! Wires the function to the Lambda runtime.

/// Zeroes what is freed: initial passwords are in buffers of the SDK that nothing else can reach.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

// One thread asks AWS; hashes, which are most of the work, have the others.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run(bulk_reset::start).await
}
