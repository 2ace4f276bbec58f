"""What a system costs: parameters, multiplications, time and memory, each measured or checked."""
