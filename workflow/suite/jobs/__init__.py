"""What surrounds every job: log and errors, GPUs, and what has to be known of its making."""
