//! The function's binary: the pages behind the Lambda runtime API.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run(portal::start).await
}
