//! SQS: the queue of dead letters.
