"""The parts of the independent checker; `derive.check` is its door. Nothing here imports anything but the standard library."""
