"""Loss terms as pure functions: tensors in, a scalar in nats (or the unit its docstring names) out."""
