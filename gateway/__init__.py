"""HTTP for citizens, clerks and integrators. It knows the contracts in `protos/`, and no service."""
